//! H8: placeholders that can be guessed, because they are made of names or counters. They are random, and those
//! that are made up are text.

use std::collections::{BTreeMap, HashSet};

use serde_json::json;

use crate::{
    ensure,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "H8").await;
    // As many as one lease may have: one secret under many names.
    let mut minted = HashSet::new();
    let mut counts: BTreeMap<u8, usize> = BTreeMap::new();
    let mut total = 0;
    for _ in 0..6 {
        let aliases: Vec<_> =
            (0..64).map(|number| json!({"name": "KEY", "as": format!("A{number}")})).collect();
        let lease = scene.lease_with(&scene.p, json!({"environment": "test", "secrets": aliases})).await;
        for placeholder in lease.given["secrets"].as_object().unwrap().values() {
            let placeholder = placeholder.as_str().unwrap();
            ensure!(placeholder.starts_with("tct_ph_") && placeholder.len() == 43, "{placeholder}");
            for byte in placeholder.as_bytes()[7..37].iter() {
                *counts.entry(*byte).or_default() += 1;
                total += 1;
            }
            ensure!(minted.insert(placeholder.to_owned()), "the same twice");
        }
        scene.p.delete(&format!("/leases/{}", lease.id)).await.expect(204);
    }
    ensure!(minted.len() == 6 * 64 && counts.len() == 62, "{} of {} characters", counts.len(), minted.len());
    // Chi-square with 61 degrees of freedom: beyond 140 once in ten million.
    let expected = f64::from(u32::try_from(total).unwrap()) / 62.0;
    let distance: f64 = counts
        .values()
        .map(|count| (f64::from(u32::try_from(*count).unwrap()) - expected).powi(2) / expected)
        .sum();
    let is_even = distance < 140.0;
    ensure!(is_even, "the characters are not even: {distance}");

    let lease = scene.lease().await;
    scene.works(&lease).await;
    for guess in [
        "KEY",
        "$KEY",
        "${KEY}",
        "$MSB_KEY",
        "tacit:KEY",
        "openshell:resolve:env:KEY",
        "tct_ph_KEY",
        "{{secrets.KEY}}",
        "{{ secrets.KEY }}",
        "tct_ph_000000000000000000000000000000000000",
        "<KEY>",
        "%KEY%",
        "__KEY__",
        "secret:KEY",
    ] {
        let answer = scene.ask(&lease, "POST", "/x", &[("X-Custom", guess)], guess.as_bytes()).await;
        ensure!(
            answer.status == 200 && scene.last().header("x-custom").as_deref() == Some(guess),
            "{guess}: {}",
            answer.text()
        );
        let answer =
            scene.ask(&lease, "GET", "/x", &[("Authorization", &format!("Bearer {guess}"))], b"").await;
        ensure!(
            answer.status == 403 || answer.status == 422,
            "{guess} as a credential: {}",
            answer.status_line()
        );
    }
    // One that is changed in one character, by hand or to another's case, is none.
    let ph = lease.ph("KEY");
    for changed in [
        ph.to_lowercase(),
        ph.to_uppercase(),
        ph[..42].to_owned(),
        format!("{ph}0"),
        ph.replacen("tct_ph", "tct_pg", 1),
    ] {
        if changed != ph {
            let answer =
                scene.ask(&lease, "GET", "/x", &[("Authorization", &format!("Bearer {changed}"))], b"").await;
            ensure!(matches!(answer.status, 403 | 422), "{changed}: {}", answer.status_line());
        }
    }
    let sent = scene.seen().iter().filter(|seen| seen.text().contains(&scene.s)).count();
    ensure!(sent == 1, "a guess became the value");
    Ok(())
}
