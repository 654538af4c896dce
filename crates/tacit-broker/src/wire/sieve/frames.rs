//! Frame by frame: each is scrubbed as a text of its own, and none may end what another one began.

use tacit_redact::{Findings, HOLD_BACK_BYTES, ScanSet, scrub};
use zeroize::Zeroize;

/// A value is spread across frames, of which the first are out.
pub(super) struct Crossing;

/// Scrubs frames.
pub(super) struct FrameScrubber {
    set: ScanSet,
    framed: Seam,
    payload: Seam,
    findings: Findings,
}

impl FrameScrubber {
    pub(super) fn new(set: &ScanSet) -> Self {
        Self {
            set: set.clone(),
            framed: Seam::default(),
            payload: Seam::default(),
            findings: Findings::default(),
        }
    }

    /// Appends what is left of a frame. `payload` is what a client will join with that of other frames; what it does not
    /// take apart is looked at as it is, too. `payload_of` takes it out of a frame.
    pub(super) fn frame(
        &mut self,
        framed: &[u8],
        payload: &[u8],
        payload_of: fn(&[u8]) -> Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<(), Crossing> {
        let (scrubbed, findings) = scrub(&self.set, framed);
        let (payload_scrubbed, payload_findings) = scrub(&self.set, payload);
        // Spread across the lines of one frame, it is found only in what they say together.
        let is_spread =
            payload_findings.total() > 0 && scrub(&self.set, &payload_of(&scrubbed)).1.total() > 0;
        let crosses = self.framed.crosses(&self.set, framed, &scrubbed)
            | self.payload.crosses(&self.set, payload, &payload_scrubbed);
        if is_spread || crosses {
            return Err(Crossing);
        }
        out.extend_from_slice(&scrubbed);
        self.findings.merge(findings);
        Ok(())
    }

    pub(super) fn findings(&self) -> &Findings {
        &self.findings
    }
}

/// The end of what came before, as it went out.
#[derive(Default)]
struct Seam {
    before: Vec<u8>,
}

impl Seam {
    /// Whether there is something at the seam that is on neither side of it.
    fn crosses(&mut self, set: &ScanSet, next: &[u8], scrubbed: &[u8]) -> bool {
        // A line break alone neither is part of a value nor keeps its parts from each other.
        if next.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
            return false;
        }
        let total = |bytes: &[u8]| scrub(set, bytes).1.total();
        // Further on it would be found if it were whole.
        let head = &next[..next.len().min(HOLD_BACK_BYTES)];
        let seam = self.before.len();
        self.before.extend_from_slice(head);
        let together = total(&self.before);
        let crosses = together > 0 && together > total(head);
        self.before.truncate(seam);
        self.before.extend_from_slice(&scrubbed[scrubbed.len().saturating_sub(HOLD_BACK_BYTES)..]);
        let gone = self.before.len().saturating_sub(HOLD_BACK_BYTES);
        self.before.copy_within(gone.., 0);
        self.before.truncate(HOLD_BACK_BYTES);
        crosses
    }
}

impl Drop for Seam {
    fn drop(&mut self) {
        self.before.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: &[u8] = b"7hG2kQ9zXv4LpW8sRt1YbN6mD3fJ5cEo";

    /// Frames that are their own payload.
    fn frames(frames: &[&[u8]]) -> Option<Vec<u8>> {
        let mut builder = ScanSet::builder();
        builder.add("[S]", VALUE);
        let mut scrubber = FrameScrubber::new(&builder.build());
        let mut out = Vec::new();
        for frame in frames {
            scrubber.frame(frame, frame, <[u8]>::to_vec, &mut out).ok()?;
        }
        Some(out)
    }

    /// Wherever a value is cut, of what is out there is never a part that could be recognised.
    #[test]
    fn a_value_at_every_seam() {
        for cut in 1..VALUE.len() {
            let (first, second) = VALUE.split_at(cut);
            for frames_of_it in [&[first, second][..], &[b"x", first, b"\n", second, b"y"]] {
                if let Some(out) = frames(frames_of_it) {
                    let out: Vec<u8> = out.into_iter().filter(|byte| *byte != b'\n').collect();
                    assert!(
                        !out.windows(16).any(|part| VALUE.windows(16).any(|value| value == part)),
                        "{cut}"
                    );
                }
            }
        }
        // A first part that is recognised does not let the rest through in small ones.
        let parts: Vec<&[u8]> = [&VALUE[..16]].into_iter().chain(VALUE[16..].chunks(5)).collect();
        assert_eq!(frames(&parts), None);
        for size in 1..16 {
            assert_eq!(frames(&VALUE.chunks(size).collect::<Vec<_>>()), None, "{size}");
        }
    }

    #[test]
    fn values_in_frames_of_their_own() {
        let long = [&[b'.'; 3000][..], VALUE, &[b'.'; 3000]].concat();
        let scrubbed = [&[b'.'; 3000][..], b"[S]", &[b'.'; 3000]].concat();
        for _ in 0..3 {
            assert_eq!(frames(&[b"a", VALUE, b"b", VALUE, VALUE, b"c"]).unwrap(), b"a[S]b[S][S]c");
            assert_eq!(frames(&[&long, VALUE, &long]).unwrap(), [&*scrubbed, b"[S]", &scrubbed].concat());
        }
        assert_eq!(frames(&[&VALUE[..15], b"", b"-", &VALUE[15..30]]).unwrap().len(), 31);
    }
}
