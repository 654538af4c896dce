//! What is done with files, and what comes back of it, searched on its way.

use russh::{ChannelStream, client::Msg};
use serde_json::{Map, Value};
use tacit_model::{Code, Problem, Target, limits};
use tacit_redact::{Findings, ScanSet, Scrubber};

use super::{
    draft::Action,
    link::{Link, broken},
    protocol::{Conversation, Entry, Fault, Handle, Mode, Status},
};
use crate::{
    answer::content,
    faults::wire_problem,
    names::scrub_names,
    wire::{WireError, is_container},
};

/// Bytes that are asked for or sent at once: what every server takes.
const PIECE_BYTES: usize = 32 * 1024;
/// Pieces that are under way at the same time.
const PIECES_AT_ONCE: usize = 32;
/// Names of one folder that are given back.
const ENTRIES_MAX: usize = 10_000;

/// The files of a server.
pub(super) struct Files<'a> {
    conversation: Conversation<ChannelStream<Msg>>,
    target: &'a Target,
}

/// What was done, as far as it may be shown.
pub(super) struct Done {
    /// Bytes that were moved, before anything was taken out of them.
    pub(super) bytes: u64,
    pub(super) findings: Findings,
    brought: Brought,
}

/// What came back.
enum Brought {
    Nothing,
    Content { bytes: Vec<u8>, is_opaque: bool },
    Names { entries: Vec<Named>, is_cut: bool },
}

/// What is in a folder, its name searched.
struct Named {
    name: String,
    entry: Entry,
}

impl<'a> Files<'a> {
    pub(super) async fn open(link: &Link, target: &'a Target) -> Result<Self, Problem> {
        let channel = link.subsystem(target).await?;
        let conversation = Conversation::begin(channel.into_stream()).await.map_err(|_| broken(target))?;
        Ok(Self { conversation, target })
    }

    /// Does it, and takes everything in the set out of what comes back.
    pub(super) async fn act(mut self, action: &Action, scan: &ScanSet) -> Result<Done, Problem> {
        let target = self.target;
        let done = match action {
            Action::Put { path, content } => self.put(&path.sent, content).await,
            Action::Get(path) => return self.get(&path.sent, scan).await,
            Action::List(path) => return self.list(&path.sent, scan).await,
            Action::Delete(path) => self.conversation.remove(&path.sent).await,
            Action::Rename { from, to } => self.conversation.rename(&from.sent, &to.sent).await,
        };
        done.map_err(|fault| problem(fault, target))?;
        let bytes = if let Action::Put { content, .. } = action { content.len() as u64 } else { 0 };
        Ok(Done { bytes, findings: Findings::default(), brought: Brought::Nothing })
    }

    async fn put(&mut self, path: &str, content: &[u8]) -> Result<(), Fault> {
        let handle = self.conversation.open(path, Mode::Write).await?;
        let mut offset = 0;
        for batch in content.chunks(PIECE_BYTES * PIECES_AT_ONCE) {
            self.conversation.write_at(&handle, offset, batch.chunks(PIECE_BYTES)).await?;
            offset += batch.len() as u64;
        }
        // A server may notice only now that its disk is full.
        self.conversation.close(&handle).await
    }

    async fn get(&mut self, path: &str, scan: &ScanSet) -> Result<Done, Problem> {
        let target = self.target;
        let failed = |fault| problem(fault, target);
        let handle = self.conversation.open(path, Mode::Read).await.map_err(failed)?;
        let (mut scrubber, mut out) = (Scrubber::new(scan), Vec::new());
        let (mut offset, mut batch) = (0, 2);
        let mut start = Vec::new();
        loop {
            let (pieces, is_end) = self.pieces(&handle, offset, batch).await.map_err(failed)?;
            for piece in &pieces {
                if start.len() < 16 {
                    start.extend(piece.iter().take(16));
                }
                offset += piece.len() as u64;
                scrubber.push(piece, &mut out);
            }
            if offset > limits::RESPONSE_BODY_BYTES_MAX as u64 {
                return Err(wire_problem(&WireError::TooLarge, target));
            }
            // The beginning of a value was let out before its end was seen.
            if scrubber.findings().is_late() {
                return Err(wire_problem(&WireError::Unscannable, target));
            }
            if is_end {
                break;
            }
            batch = (batch * 2).min(PIECES_AT_ONCE);
        }
        // What was read is read, whatever the server says to this.
        let _ = self.conversation.close(&handle).await;
        let findings = scrubber.finish(&mut out);
        let brought = Brought::Content { bytes: out, is_opaque: is_container(&start) };
        Ok(Done { bytes: offset, findings, brought })
    }

    /// The next pieces without a gap, and whether the file ends behind them.
    async fn pieces(
        &mut self,
        handle: &Handle,
        offset: u64,
        count: usize,
    ) -> Result<(Vec<Vec<u8>>, bool), Fault> {
        let places: Vec<(u64, u32)> =
            (0..count as u64).map(|at| (offset + at * PIECE_BYTES as u64, PIECE_BYTES as u32)).collect();
        let mut whole = Vec::with_capacity(count);
        for piece in self.conversation.read_at(handle, &places).await? {
            let Some(piece) = piece else { return Ok((whole, true)) };
            let is_short = piece.len() < PIECE_BYTES;
            whole.push(piece);
            // A server may give less than was asked for, and then the next piece begins elsewhere.
            if is_short {
                break;
            }
        }
        Ok((whole, false))
    }

    async fn list(&mut self, path: &str, scan: &ScanSet) -> Result<Done, Problem> {
        let target = self.target;
        let failed = |fault| problem(fault, target);
        let handle = self.conversation.open_folder(path).await.map_err(failed)?;
        let mut entries = Vec::new();
        let mut bytes = 0;
        let mut is_cut = false;
        while let Some(more) = self.conversation.names(&handle).await.map_err(failed)? {
            bytes += more.iter().map(|entry| entry.name.len() as u64).sum::<u64>();
            entries.extend(more.into_iter().filter(|entry| entry.name != b"." && entry.name != b".."));
            is_cut = entries.len() > ENTRIES_MAX || bytes > limits::RESPONSE_BODY_BYTES_MAX as u64;
            if is_cut {
                break;
            }
        }
        let _ = self.conversation.close(&handle).await;
        entries.truncate(ENTRIES_MAX);
        let entries = entries
            .into_iter()
            .map(|entry| Named { name: String::from_utf8_lossy(&entry.name).into_owned(), entry })
            .collect();
        let mut done =
            Done { bytes, findings: Findings::default(), brought: Brought::Names { entries, is_cut } };
        done.search_again(scan).then_some(()).ok_or_else(|| wire_problem(&WireError::Unscannable, target))?;
        Ok(done)
    }
}

impl Done {
    /// Takes more out of it. Says whether what is left may be shown: a value that is spread over several names is in none
    /// of them.
    pub(super) fn search_again(&mut self, scan: &ScanSet) -> bool {
        match &mut self.brought {
            Brought::Nothing => true,
            Brought::Content { bytes, .. } => {
                let (clean, findings) = tacit_redact::scrub(scan, bytes);
                *bytes = clean;
                self.findings.merge(findings);
                true
            }
            Brought::Names { entries, .. } => {
                // Searched in the order in which they came, and in the one in which they are shown. That is by what is shown:
                // the place of a name among others would say which letters it begins with, whatever stands there instead.
                let mut clean = |entries: &mut Vec<Named>| {
                    let found = scrub_names(scan, entries.iter_mut().map(|entry| &mut entry.name));
                    found.map(|findings| self.findings.merge(findings)).is_ok()
                };
                let is_clean = clean(entries);
                entries.sort_by(|a, b| a.name.cmp(&b.name));
                is_clean && clean(entries)
            }
        }
    }

    /// Whether something came back that a rule may keep back.
    pub(super) fn has_content(&self) -> bool {
        !matches!(self.brought, Brought::Nothing)
    }

    /// The step's result; if something is withheld, without what came back.
    pub(super) fn into_output(self, withheld: Option<&'static str>) -> Value {
        let mut output = Map::new();
        output.insert("bytes".to_owned(), self.bytes.into());
        if let Some(withheld) = withheld {
            output.insert("withheld".to_owned(), withheld.into());
            return Value::Object(output);
        }
        match self.brought {
            Brought::Nothing => {}
            Brought::Content { bytes, is_opaque } => {
                let (content, encoding) = content(bytes);
                output.insert("content".to_owned(), content);
                if let Some(encoding) = encoding {
                    output.insert("content_encoding".to_owned(), encoding.into());
                }
                if is_opaque {
                    output.insert("opaque".to_owned(), true.into());
                }
            }
            Brought::Names { entries, is_cut } => {
                output.insert("entries".to_owned(), entries.into_iter().map(shown).collect());
                if is_cut {
                    output.insert("truncated".to_owned(), true.into());
                }
            }
        }
        Value::Object(output)
    }
}

fn shown(named: Named) -> Value {
    let Named { name, entry } = named;
    let kind = match entry.permissions.map(|mode| mode & 0o170_000) {
        Some(0o040_000) => "folder",
        Some(0o100_000) => "file",
        Some(0o120_000) => "link",
        _ => "other",
    };
    let modified = entry.modified_secs.and_then(|secs| jiff::Timestamp::from_second(secs.into()).ok());
    let mut shown = Map::new();
    shown.insert("name".to_owned(), name.into());
    shown.insert("type".to_owned(), kind.into());
    shown.insert("size".to_owned(), entry.size.into());
    shown.insert("modified".to_owned(), modified.map(|time| time.to_string()).into());
    Value::Object(shown)
}

/// What a refusal of the server's is told as: in our words.
fn problem(fault: Fault, target: &Target) -> Problem {
    let Fault::Refused(status) = fault else { return broken(target) };
    let (what, hint) = match status {
        Status::NoSuchFile => ("has no such file or folder", "check the path, and list its folder"),
        Status::PermissionDenied => {
            ("does not let the secret's user do this", "check the path, and what the user may do there")
        }
        Status::Unsupported => ("does not know how to do this", "ask whoever runs the server"),
        Status::Ok | Status::End | Status::Failure => (
            "could not do this",
            "check that the folder is there, that the new name is not taken, and that there is room",
        ),
    };
    Problem::new(Code::UpstreamFailed, format!("{target} {what}")).suggest(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: &str = "mq8WnX2vTnbLk4RmP9sD1hJ6";

    fn listed(names: &[&str]) -> Option<Vec<String>> {
        let mut builder = ScanSet::builder();
        builder.add("[sealed:K]", VALUE.as_bytes());
        let entries = names.iter().map(|name| Named { name: (*name).to_owned(), entry: Entry::default() });
        let brought = Brought::Names { entries: entries.collect(), is_cut: false };
        let mut done = Done { bytes: 0, findings: Findings::default(), brought };
        let may_be_shown = done.search_again(&builder.build());
        let Brought::Names { entries, .. } = done.brought else { return None };
        may_be_shown.then(|| entries.into_iter().map(|entry| entry.name).collect())
    }

    /// Whoever may put files beside one that is called like a value learns nothing from where it stands among them.
    #[test]
    fn the_order_of_names_tells_nothing() {
        let expected = ["[sealed:K]", "ma", "mz", "z"].map(str::to_owned);
        assert_eq!(listed(&["mz", VALUE, "ma", "z"]), Some(expected.to_vec()));
        assert_eq!(listed(&["z", "ma", "mz", VALUE]), Some(expected.to_vec()));
    }

    /// Pieces of a value that stand together as the server names them, or as they are shown, are not shown.
    #[test]
    fn pieces_of_a_value() {
        assert_eq!(listed(&[&VALUE[..12], &VALUE[12..]]), None);
        assert_eq!(listed(&["b", &format!("1{}", &VALUE[..9]), "a"]).map(|names| names.len()), Some(3));
        let (first, second) = (&VALUE[..9], &VALUE[9..18]);
        assert!(first < second, "they are shown the other way round");
        assert_eq!(listed(&[second, first]), None);
    }
}
