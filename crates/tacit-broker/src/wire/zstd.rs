//! zstd, fed by pieces.
//!
//! The decoder that we use wants a reader that never runs dry in the middle of a block. So this file finds the
//! boundaries itself (RFC 8878: frame header, 3-byte block headers, checksum, skippable frames), collects one whole
//! block, which is never longer than 128 KiB, and only then lets the decoder see it. Memory is one block plus the
//! window, and a window is at most 8 MiB (what RFC 9659 allows for HTTP).
//!
//! A frame's checksum is passed over, not verified: it protects against broken disks, not against an upstream.

use std::io::Read;

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::decode::{Bad, STEP_BYTES};

const WINDOW_BYTES_MAX: u64 = 8 * 1024 * 1024;
const BLOCK_BYTES_MAX: usize = 128 * 1024;
const MAGIC: u32 = 0xFD2F_B528;
/// The last four bits are free.
const SKIPPABLE: u32 = 0x184D_2A50;
const BLOCK_HEADER_BYTES: usize = 3;
const CHECKSUM_BYTES: usize = 4;

enum State {
    /// Before or inside a frame's header.
    Frame,
    /// Before or inside a block.
    Block { has_checksum: bool },
    /// Inside a skippable frame, with this many bytes to go.
    Skip(u32),
}

/// One zstd stream: frames after each other.
pub(super) struct Zstd {
    decoder: FrameDecoder,
    state: State,
    /// The collected part of the unit that `state` names.
    pending: Vec<u8>,
    frames: u64,
}

impl Zstd {
    pub(super) fn new() -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(WINDOW_BYTES_MAX);
        Self { decoder, state: State::Frame, pending: Vec::new(), frames: 0 }
    }

    /// Decodes on: returns how much of the input was taken and appends at most [`STEP_BYTES`] to `out`.
    pub(super) fn step(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, Bad> {
        let mut taken = 0;
        loop {
            if self.decoder.can_collect() > 0 {
                let start = out.len();
                out.resize(start + STEP_BYTES, 0);
                let read = self.decoder.read(&mut out[start..]).map_err(|_| Bad)?;
                out.truncate(start + read);
                return Ok(taken);
            }
            let rest = &input[taken..];
            if let State::Skip(left) = &mut self.state {
                let skipped = (*left as usize).min(rest.len());
                taken += skipped;
                *left -= skipped as u32;
                if *left > 0 {
                    return Ok(taken);
                }
                self.state = State::Frame;
                continue;
            }
            let missing = self.unit_bytes()?.saturating_sub(self.pending.len());
            let piece = &rest[..missing.min(rest.len())];
            self.pending.extend_from_slice(piece);
            taken += piece.len();
            if piece.len() < missing {
                return Ok(taken);
            }
            // Having collected a header may show that its unit is longer.
            if self.pending.len() == self.unit_bytes()? {
                self.take_unit()?;
            }
        }
    }

    /// Whether the stream ends here properly.
    pub(super) fn is_at_end(&self) -> bool {
        matches!(self.state, State::Frame)
            && self.pending.is_empty()
            && self.frames > 0
            && self.decoder.can_collect() == 0
    }

    /// How long the unit is as far as the collected bytes tell.
    fn unit_bytes(&self) -> Result<usize, Bad> {
        match self.state {
            State::Skip(_) => Ok(0),
            State::Frame => match *self.pending.as_slice() {
                [a, b, c, d, ref rest @ ..] => {
                    let magic = u32::from_le_bytes([a, b, c, d]);
                    match rest.first() {
                        _ if magic & !0xF == SKIPPABLE => Ok(8),
                        _ if magic != MAGIC => Err(Bad),
                        None => Ok(5),
                        Some(descriptor) => Ok(frame_header_bytes(*descriptor)),
                    }
                }
                _ => Ok(4),
            },
            State::Block { has_checksum } => match *self.pending.as_slice() {
                [a, b, c, ..] => {
                    let (is_last, kind, size) = block_header([a, b, c]);
                    let content = match kind {
                        0 | 2 => size,
                        1 => 1,
                        _ => return Err(Bad),
                    };
                    if size > BLOCK_BYTES_MAX {
                        return Err(Bad);
                    }
                    let checksum = if is_last && has_checksum { CHECKSUM_BYTES } else { 0 };
                    Ok(BLOCK_HEADER_BYTES + content + checksum)
                }
                _ => Ok(BLOCK_HEADER_BYTES),
            },
        }
    }

    /// Hands a complete unit to the decoder.
    fn take_unit(&mut self) -> Result<(), Bad> {
        match self.state {
            State::Skip(_) => {}
            State::Frame => {
                if let [a, b, c, d, e, f, g, h] = *self.pending.as_slice()
                    && u32::from_le_bytes([a, b, c, d]) & !0xF == SKIPPABLE
                {
                    self.state = State::Skip(u32::from_le_bytes([e, f, g, h]));
                } else {
                    // Also refuses a frame that needs a dictionary, and one with a larger window.
                    self.decoder.init(self.pending.as_slice()).map_err(|_| Bad)?;
                    let has_checksum = self.pending[4] & 0b100 != 0;
                    self.state = State::Block { has_checksum };
                    self.frames += 1;
                }
            }
            State::Block { .. } => {
                let one = BlockDecodingStrategy::UptoBlocks(1);
                let is_finished =
                    self.decoder.decode_blocks(self.pending.as_slice(), one).map_err(|_| Bad)?;
                if is_finished {
                    self.state = State::Frame;
                }
            }
        }
        self.pending.clear();
        Ok(())
    }
}

/// Magic, descriptor, window, dictionary id and content size.
fn frame_header_bytes(descriptor: u8) -> usize {
    let is_single_segment = descriptor & 0b10_0000 != 0;
    let window = usize::from(!is_single_segment);
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 0b11)];
    let content_size = match descriptor >> 6 {
        0 => usize::from(is_single_segment),
        1 => 2,
        2 => 4,
        _ => 8,
    };
    4 + 1 + window + dictionary + content_size
}

/// Last block, kind (raw, run, compressed, reserved), size.
fn block_header([a, b, c]: [u8; 3]) -> (bool, u8, usize) {
    let bits = u32::from_le_bytes([a, b, c, 0]);
    (bits & 1 != 0, ((bits >> 1) & 0b11) as u8, (bits >> 3) as usize)
}
