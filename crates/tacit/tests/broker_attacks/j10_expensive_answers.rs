//! J10: answers made to be expensive for the scrubber: the value over and over, its fragments of fifteen
//! characters, and the grams it is looked for by. What comes out is right for each; how fast is measured by the
//! scrubber's own example.

use crate::{
    ensure,
    scene::{Scene, Verdict},
    upstream::{Act, write},
    world::World,
};

const KIB: usize = 256;

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "J10").await;
    let lease = scene.lease().await;
    for kind in ["repeated", "fifteen", "grams", "escapes", "mixed"] {
        scene.on("/hostile", move |seen| {
            let value = &seen.s[8..];
            let unit: String = match kind {
                "repeated" => value.to_owned(),
                "fifteen" => (0..17).map(|at| format!("{}.", &value[at..at + 15])).collect(),
                "grams" => (0..24).map(|at| format!("{}-", &value[at..at + 8])).collect(),
                "escapes" => {
                    value.bytes().map(|byte| format!("%25{byte:02x}\\u{byte:04x}&#{byte};")).collect()
                }
                _ => value
                    .bytes()
                    .flat_map(|byte| [format!("%{byte:02x}"), char::from(byte).to_string()])
                    .collect(),
            };
            let body = unit.repeat((KIB << 10) / unit.len());
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            let pieces = body.as_bytes().chunks(4096).map(|piece| Act::Write(piece.to_vec()));
            std::iter::once(write(head)).chain(pieces).collect()
        });
        let answer = scene.get(&lease, "/hostile").await;
        ensure!(answer.status == 200 && answer.is_whole, "{kind}: {}", answer.status_line());
        // Sixteen in a row are nowhere, as it is and unescaped; the detector's other readings would take minutes here.
        let value = scene.s[8..].to_lowercase();
        let text = answer.text().to_lowercase();
        let bare: String = text.chars().filter(|c| c.is_ascii_alphanumeric()).collect();
        for at in 0..=value.len() - 16 {
            ensure!(!text.contains(&value[at..at + 16]), "{kind}: a fragment came through");
            ensure!(
                kind == "fifteen" || kind == "grams" || !bare.contains(&value[at..at + 16]),
                "{kind}: a fragment came through"
            );
        }
        let sample = &answer.body[..answer.body.len().min(20_000)];
        if kind != "fifteen" && kind != "grams" {
            scene.noleak(kind, sample)?;
        }
    }
    Ok(())
}
