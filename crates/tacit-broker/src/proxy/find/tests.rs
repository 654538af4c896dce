use super::*;
use crate::{proxy::body::Kind, render::DraftBody};
use tacit_vault::{Shape, generate_placeholder};

/// A lease with three secrets, one of them an API key with a header of its own, and a placeholder of another lease.
struct Scene {
    known: Vec<(TokenHash, SecretId, SecretName, Option<&'static str>)>,
    text: Vec<String>,
    foreign: String,
    places: Vec<(SecretId, Place)>,
}

impl Scene {
    fn new(places: &[(usize, &str)]) -> Self {
        let mut scene =
            Self { known: Vec::new(), text: Vec::new(), foreign: String::new(), places: Vec::new() };
        for (name, own_header) in [("A", None), ("B", None), ("C", Some("x-vendor"))] {
            let (text, hash) = generate_placeholder(Shape::Generic);
            let id = SecretId::generate(crate::permit::now(), tacit_vault::random_bytes());
            scene.known.push((hash, id, name.parse().unwrap(), own_header));
            scene.text.push(text.dangerous_expose().to_owned());
        }
        scene.foreign = generate_placeholder(Shape::Generic).0.dangerous_expose().to_owned();
        scene.places =
            places.iter().map(|(at, place)| (scene.known[*at].1, place.parse().unwrap())).collect();
        scene
    }

    fn with<T>(&self, look: impl FnOnce(&Search<'_>) -> T) -> T {
        let meant =
            |hash: &TokenHash| {
                self.known.iter().find(|(known, ..)| known == hash).map(|(_, secret, name, own_header)| {
                    Meant { secret: *secret, name, own_header: *own_header, is_pair: false }
                })
            };
        let places: Vec<_> = self.places.iter().map(|(secret, place)| (*secret, place)).collect();
        look(&Search { meant: &meant, own_headers: &["x-vendor"], places: &places })
    }

    /// `A`, `B`, `C` for placeholders of the lease and `F` for a foreign one.
    fn written(&self, text: &str) -> String {
        let text =
            text.replace("<A>", &self.text[0]).replace("<B>", &self.text[1]).replace("<C>", &self.text[2]);
        text.replace("<F>", &self.foreign)
    }

    fn head(&self, path: &str, headers: &[(&str, &str)]) -> Result<Found, Misplaced> {
        let (target, _) = Target::parse_url("https://good.test/").unwrap();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            map.append(name, HeaderValue::from_str(&self.written(value)).unwrap());
        }
        let path = RequestPath::parse(&self.written(path)).unwrap();
        self.with(|search| Found::in_head(search, target, &Method::GET, &path, map))
    }

    fn places_in(&self, path: &str, headers: &[(&str, &str)]) -> Result<Vec<String>, Code> {
        let found = self.head(path, headers).map_err(|misplaced| misplaced.problem.code)?;
        Ok(found.slots.iter().map(|slot| format!("{}@{}", slot.name, slot.place)).collect())
    }
}

fn basic(pair: &str) -> String {
    format!("Basic {}", STANDARD.encode(pair))
}

/// The whole of a place is found as what destinations call it.
#[test]
fn whole_places() {
    let scene = Scene::new(&[(0, "header:x-note"), (0, "query:k"), (0, "path")]);
    for (path, header, place) in [
        ("/", Some(("authorization", "Bearer <A>")), "A@auth"),
        ("/", Some(("Authorization", "token <A>")), "A@auth"),
        ("/", Some(("x-api-key", "<A>")), "A@auth"),
        ("/", Some(("private-token", "<A>")), "A@auth"),
        ("/", Some(("x-vendor", "<C>")), "C@auth"),
        ("/", Some(("x-note", "<A>")), "A@header:x-note"),
        ("/", Some(("x-note", "v1 <A>")), "A@header:x-note"),
        ("/?a=1&k=<A>", None, "A@query:k"),
        ("/v1/<A>/x", None, "A@path"),
    ] {
        assert_eq!(scene.places_in(path, header.as_slice()), Ok(vec![place.to_owned()]), "{path} {header:?}");
    }
    let found = scene.head("/v1/<A>/x?y=<B>", &[]).unwrap();
    assert_eq!(found.draft.path.path(), "/v1/{secret}/x");
    let text = |text: &str| Fragment::Text(scene.written(text));
    assert_eq!(found.draft.path_and_query, [text("/v1/"), Fragment::Secret(0), text("/x?y=<B>")]);
}

/// B1, B7, B13: elsewhere a placeholder is text, whoever's it is.
#[test]
fn b1_inert_text() {
    let scene = Scene::new(&[(0, "query:k")]);
    for (path, header) in [
        ("/", Some(("user-agent", "agent/<A>"))),
        ("/", Some(("referer", "https://x.test/?<A>"))),
        ("/", Some(("x-note", "<A>"))),
        ("/", Some(("x-trace-id", "<F>"))),
        ("/?q=<A>", None),
        ("/?k=x<A>", None),
        ("/?k=<B>", None),
        ("/?k=<F>", None),
        ("/?<A>=1", None),
        ("/v1/<A>", None),
        ("/v1/bot<A>/x", None),
    ] {
        let found = scene.head(path, header.as_slice()).unwrap();
        assert!(found.slots.is_empty(), "{path} {header:?}");
        assert_eq!(found.draft.path_and_query, [Fragment::Text(scene.written(path))]);
        assert_eq!(found.draft.plain_headers.len(), usize::from(header.is_some()));
    }
}

/// B5, B6: in a header that carries a credential, everything but the whole of it, once, is refused.
#[test]
fn b5_b6_credential_headers() {
    let scene = Scene::new(&[]);
    let twice = [("authorization", "Bearer <A>"), ("authorization", "Bearer <A>")];
    let copies = [("authorization", "Bearer <A>"), ("x-api-key", "<A>")];
    let beside = [("authorization", "Bearer <A>"), ("authorization", "Bearer mine")];
    for headers in [
        &[("authorization", "Bearer <A>x")][..],
        &[("authorization", "Bearer  <A>")],
        &[("authorization", "<A>")],
        &[("authorization", "Bearer <A>,evil")],
        &[("authorization", "Bearer <A> <B>")],
        &[("authorization", "AWS4-HMAC-SHA256 Credential=<A>/x")],
        &[("cookie", "session=<A>")],
        &[("x-api-key", "k=<A>")],
        &[("proxy-authorization", "Bearer x<A>")],
        &twice,
        &copies,
        &beside,
    ] {
        assert_eq!(scene.places_in("/", headers), Err(Code::PlacementNotAllowed), "{headers:?}");
    }
    for headers in [&[("authorization", "Bearer <F>")][..], &[("x-api-key", "<F>")], &[("cookie", "a=<F>")]] {
        assert_eq!(scene.places_in("/", headers), Err(Code::UnknownReference), "{headers:?}");
    }
    // The decision refuses these, with the place that is missing.
    assert_eq!(scene.places_in("/", &[("x-auth", "<A>")]), Ok(vec!["A@header:x-auth".to_owned()]));
    assert_eq!(scene.places_in("/?api_key=<A>", &[]), Ok(vec!["A@query:api_key".to_owned()]));
    assert_eq!(scene.places_in("/", &[("x-vendor", "<A>")]), Ok(vec!["A@header:x-vendor".to_owned()]));
    // A parameter is there twice however it is spelled.
    let scene = Scene::new(&[(0, "query:k")]);
    for query in ["/?k=<A>&k=x", "/?%6b=x&k=<A>", "/?k=<A>&%6B=x", "/?k=<A>&k"] {
        assert_eq!(scene.places_in(query, &[]), Err(Code::PlacementNotAllowed), "{query}");
    }
    // Two secrets are not two copies.
    let both = [("authorization", "Bearer <A>"), ("x-api-key", "<B>")];
    assert_eq!(scene.places_in("/", &both).unwrap().len(), 2);
}

/// B6: a Basic pair is read strictly, and made anew when the value is known.
#[test]
fn b6_basic_pairs() {
    let scene = Scene::new(&[]);
    let header = |value: String| scene.head("/", &[("authorization", &value)]);
    let placeholder = scene.text[0].clone();
    let user = |name: &str| Beside::User(name.to_owned());
    for (pair, beside) in [
        (format!("ada:{placeholder}"), user("ada")),
        (format!("x-access-token:{placeholder}"), user("x-access-token")),
        (format!(":{placeholder}"), user("")),
        (format!("{placeholder}:"), Beside::Word("")),
        (format!("{placeholder}:x-oauth-basic"), Beside::Word("x-oauth-basic")),
        (format!("{placeholder}:X"), Beside::Word("X")),
    ] {
        let found = header(basic(&pair)).unwrap();
        assert_eq!(found.draft.basic, Some(BasicPair { slot: 0, beside }));
        assert!(found.draft.plain_headers.is_empty());
    }
    for pair in [
        format!("ada:x{placeholder}"),
        format!("ada:{placeholder}x"),
        format!("{placeholder}:lovelace"),
        format!("{placeholder}:X-OAuth-Basic"),
        format!("{placeholder}:x-oauth-basic:x"),
        placeholder.clone(),
        format!("a:b:{placeholder}"),
        format!("{placeholder}:{placeholder}"),
        format!("a\r\n:{placeholder}"),
    ] {
        let code = header(basic(&pair)).unwrap_err().problem.code;
        assert_eq!(code, Code::PlacementNotAllowed, "{pair}");
    }
    let padded = basic(&format!("ada:{placeholder}"));
    assert!(padded.ends_with('='));
    for spelling in [padded.trim_end_matches('=').to_owned(), format!("{padded}="), format!("{padded} ")] {
        // What no decoder takes holds no placeholder for anyone; what a lenient one takes is refused.
        let found = header(spelling.clone());
        assert!(found.is_err_and(|m| m.problem.code == Code::PlacementNotAllowed), "{spelling}");
    }
    let unknown = header(basic(&format!("ada:{}", scene.foreign))).unwrap_err();
    assert_eq!(unknown.problem.code, Code::UnknownReference);
    assert!(header(basic("ada:lovelace")).unwrap().foreign_credential);
    // A token for a user name is a credential beside the password; a name is none.
    for (user, is_foreign) in [
        ("ghp_0123456789abcdefghijABCDEFGHIJ012345", true),
        ("AC0123456789abcdef0123456789abcdef", true),
        ("ada.lovelace@example.test/token", false),
        ("oauth2accesstoken", false),
    ] {
        let found = header(basic(&format!("{user}:{placeholder}"))).unwrap();
        assert_eq!(found.foreign_credential, is_foreign, "{user}");
    }
}

/// B4: what is named like a credential and holds none of the lease's placeholders is somebody else's.
#[test]
fn b4_foreign_credentials() {
    let scene = Scene::new(&[]);
    let foreign =
        |path: &str, headers: &[(&str, &str)]| scene.head(path, headers).unwrap().foreign_credential;
    assert!(foreign("/", &[("authorization", "Bearer mine")]));
    assert!(foreign("/", &[("cookie", "s=1")]));
    assert!(foreign("/", &[("x-vendor", "mine")]));
    assert!(foreign("/?access_token=mine", &[]));
    assert!(foreign("/?acc%65ss_token=mine", &[]));
    assert!(!foreign(
        "/",
        &[("idempotency-key", "1"), ("accept", "*/*"), ("proxy-authorization", "Bearer x")]
    ));
    assert!(!foreign("/?q=1", &[("authorization", "Bearer <A>")]));
}

fn json(scene: &Scene, body: &str) -> Result<Option<Vec<String>>, Code> {
    in_body(scene, Kind::Json, body)
}

fn in_body(scene: &Scene, kind: Kind, body: &str) -> Result<Option<Vec<String>>, Code> {
    let mut found = scene.head("/", &[]).unwrap();
    scene
        .with(|search| found.in_body(search, kind, scene.written(body).as_bytes()))
        .map_err(|misplaced| misplaced.problem.code)?;
    let places = found.slots.iter().map(|slot| format!("{}@{}", slot.name, slot.place)).collect();
    Ok(found.draft.body.map(|_: DraftBody| places))
}

/// B2, B14: only the declared field, and only in JSON that reads in one way.
#[test]
fn b14_json_bodies() {
    let scene = Scene::new(&[(0, "json:/client/secret"), (0, "json:/list/1")]);
    let in_secret = Some(vec!["A@json:/client/secret".to_owned()]);
    assert_eq!(json(&scene, r#"{"client": {"secret": "<A>"}, "text": "<A>"}"#), Ok(in_secret));
    assert_eq!(json(&scene, r#"{"list": [1, "<A>"]}"#), Ok(Some(vec!["A@json:/list/1".to_owned()])));
    for inert in [
        r#"{"content": "<A>"}"#,
        r#"{"client": {"secret": "x<A>"}}"#,
        r#"{"client": {"secret": "<B>"}}"#,
        r#"{"client": {"secret": "<F>"}}"#,
        r#"{"client/secret": "<A>"}"#,
        r#""<A>""#,
    ] {
        assert_eq!(json(&scene, inert), Ok(None), "{inert}");
    }
    for unreadable in [
        r#"{"client": {"secret": "x", "secret": "<A>"}}"#,
        r#"{"a": 1, "\u0061": 2}"#,
        "\u{feff}{}",
        "{} // comment",
        "client_secret=<A>",
        "",
    ] {
        assert_eq!(json(&scene, unreadable), Err(Code::ValidationFailed), "{unreadable}");
    }
    let copies = r#"{"client": {"secret": "<A>"}, "list": [1, "<A>"]}"#;
    assert_eq!(json(&scene, copies), Err(Code::PlacementNotAllowed));
}

/// The same for forms.
#[test]
fn form_bodies() {
    let scene = Scene::new(&[(0, "form:client_secret")]);
    let form = |body: &str| in_body(&scene, Kind::Form, body);
    assert_eq!(form("a=b+c&client_secret=<A>"), Ok(Some(vec!["A@form:client_secret".to_owned()])));
    assert_eq!(form("client%5Fsecret=<A>"), Ok(Some(vec!["A@form:client_secret".to_owned()])));
    for inert in ["", "a=<A>", "client_secret=x<A>", "client_secret=<B>"] {
        assert_eq!(form(inert), Ok(None), "{inert}");
    }
    assert_eq!(form("client_secret=<A>&client_secret=x"), Err(Code::PlacementNotAllowed));
    for unreadable in ["a=%zz", "a=%ff", "%"] {
        assert_eq!(form(unreadable), Err(Code::ValidationFailed), "{unreadable}");
    }
}

/// B11, B18: a coded body and one of another kind are not looked into.
#[test]
fn b11_kinds_of_bodies() {
    let scene = Scene::new(&[(0, "json:/k")]);
    let places: Vec<_> = scene.places.iter().map(|(secret, place)| (*secret, place)).collect();
    let kind = |headers: &[(&'static str, &'static str)]| {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        Kind::of(&headers.collect(), &places)
    };
    assert_eq!(kind(&[("content-type", "Application/JSON; charset=utf-8")]), Some(Kind::Json));
    assert_eq!(kind(&[("content-type", "application/merge-patch+json")]), Some(Kind::Json));
    assert_eq!(kind(&[("content-type", "application/x-www-form-urlencoded")]), None);
    assert_eq!(kind(&[("content-type", "text/plain")]), None);
    assert_eq!(kind(&[]), None);
    assert_eq!(kind(&[("content-type", "application/json"), ("content-encoding", "gzip")]), None);
}
