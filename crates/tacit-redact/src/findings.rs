//! What was found: how often and in which form. Never bytes, never positions.

/// The form in which a value was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// As it is, in any case.
    Raw,
    /// Last character first.
    Reversed,
    /// Hexadecimal digits.
    Hex,
    /// Base64 in either alphabet, at any alignment, once or twice.
    Base64,
    /// A string that the broker rendered itself.
    Rendered,
    /// In any of these forms after percent, backslash or entity escapes were read, once or twice.
    Decoded,
    /// In any of these forms with separators between its characters.
    Spaced,
}

impl Form {
    /// Every form, in the order of the counts.
    pub const ALL: [Self; 7] =
        [Self::Raw, Self::Reversed, Self::Hex, Self::Base64, Self::Rendered, Self::Decoded, Self::Spaced];
}

/// Counts of what was replaced. A run of overlapping findings counts once, under the form of the first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    counts: [u64; Form::ALL.len()],
    late: bool,
}

impl Findings {
    /// Replaced places in all forms.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Replaced places in one form.
    pub fn count(&self, form: Form) -> u64 {
        self.counts[form as usize]
    }

    /// Each form that was found, with its count.
    pub fn by_form(&self) -> impl Iterator<Item = (Form, u64)> + '_ {
        Form::ALL.into_iter().map(|form| (form, self.count(form))).filter(|(_, count)| *count > 0)
    }

    /// Whether a finding was spread so widely (beyond some twelve bytes per character) that its beginning had
    /// left the hold-back before the end was seen. The rest of it is replaced; a caller that can should end the
    /// stream.
    pub fn is_late(&self) -> bool {
        self.late
    }

    /// Adds the counts of another part of the same answer.
    pub fn merge(&mut self, other: Self) {
        for (own, more) in self.counts.iter_mut().zip(other.counts) {
            *own += more;
        }
        self.late |= other.late;
    }

    pub(crate) fn add(&mut self, form: Form) {
        self.counts[form as usize] += 1;
    }

    pub(crate) fn add_late(&mut self, late: bool) {
        self.late |= late;
    }
}
