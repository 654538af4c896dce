//! H7: the decision to inject is wider than the decision to allow, or remembered under too little of a request.
//! Many secrets with rules of their own at one host, many requests: a value arrives exactly where a naive reading
//! of its rule says so.

use serde_json::json;

use crate::{
    ensure,
    scene::{Scene, Verdict, random_text, random_value},
    world::World,
};

const METHODS: [&str; 3] = ["GET", "POST", "DELETE"];
const PATHS: [&str; 4] = ["/a", "/a/b", "/b", "/b/c/d"];
const PLACES: [&str; 3] = ["auth", "header:x-custom", "query:k"];

struct Rule {
    name: String,
    value: String,
    methods: Vec<&'static str>,
    pattern: &'static str,
    places: Vec<&'static str>,
}

impl Rule {
    fn allows(&self, method: &str, path: &str, place: &str) -> bool {
        let fits = match self.pattern {
            "/**" => true,
            "/a/**" => path == "/a" || path.starts_with("/a/"),
            "/*" => path.matches('/').count() == 1,
            exact => exact == path,
        };
        fits && self.methods.contains(&method) && self.places.contains(&place)
    }
}

fn some<T: Copy>(from: &[T], bits: u8) -> Vec<T> {
    let chosen: Vec<T> =
        from.iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1).map(|(_, item)| *item).collect();
    if chosen.is_empty() { vec![from[0]] } else { chosen }
}

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "H7").await;
    let mut rules = Vec::new();
    for (at, pattern) in ["/**", "/a/**", "/*", "/b/c/d", "/a/**", "/*"].into_iter().enumerate() {
        let bits = random_text(2).into_bytes();
        let rule = Rule {
            name: format!("R{at}"),
            value: random_value(),
            methods: some(&METHODS, bits[0]),
            pattern,
            places: some(&PLACES, bits[1]),
        };
        let destination =
            scene.destination(json!({"methods": rule.methods, "paths": [pattern], "places": rule.places}));
        scene.secret(&rule.name, "text", json!([destination]), json!({"value": rule.value})).await;
        rules.push(rule);
    }
    let names: Vec<&str> = rules.iter().map(|rule| rule.name.as_str()).collect();
    let lease = scene.lease_for(&scene.p, &names).await;
    let (mut allowed, mut refused) = (0, 0);
    for rule in &rules {
        for method in METHODS {
            for path in PATHS {
                let place = PLACES[usize::from(random_text(1).as_bytes()[0]) % 3];
                let ph = lease.ph(&rule.name);
                let bearer = format!("Bearer {ph}");
                let (path_and_query, headers) = match place {
                    "auth" => (path.to_owned(), vec![("Authorization", bearer.as_str())]),
                    "query:k" => (format!("{path}?k={ph}"), vec![]),
                    _ => (path.to_owned(), vec![("X-Custom", ph)]),
                };
                let heard = scene.seen().len();
                let answer = scene.ask(&lease, method, &path_and_query, &headers, b"").await;
                let arrived = scene.seen()[heard..].iter().any(|seen| seen.text().contains(&rule.value));
                let expected = rule.allows(method, path, place);
                ensure!(
                    arrived == expected,
                    "{method} {path} in {place}: {:?} {} {:?} says {expected}, and it {} ({})",
                    rule.methods,
                    rule.pattern,
                    rule.places,
                    if arrived { "arrived" } else { "did not arrive" },
                    answer.text()
                );
                ensure!(
                    !rules.iter().any(|other| other.name != rule.name
                        && scene.seen()[heard..].iter().any(|seen| seen.text().contains(&other.value))),
                    "another value arrived"
                );
                if expected { allowed += 1 } else { refused += 1 }
            }
        }
    }
    assert!(allowed > 3 && refused > 10, "{allowed} allowed, {refused} refused: these rules show nothing");
    Ok(())
}
