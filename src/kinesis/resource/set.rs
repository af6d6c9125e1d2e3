//! The resources of one request, kept in one reusable buffer.

/// One resource that a request names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource<'a> {
    /// The operation is on no resource: policies can only say `*`.
    Any,
    /// This one.
    Arn(NamedArn<'a>),
    /// This one, but the authorization reference gives the operation none: an Allow must cover `*`, a
    /// Deny counts for `*` and for this one.
    Unscoped(NamedArn<'a>),
    /// Some resource that cannot be known here.
    Unknown,
}

/// An ARN, known whole or in part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NamedArn<'a> {
    /// `aws`, …
    pub partition: &'a str,
    /// `kinesis` or `kms`.
    pub service: &'a str,
    /// `us-east-1`, …
    pub region: &'a str,
    /// The owning account; none if it is not known.
    pub account: Option<&'a str>,
    /// All after the fifth colon, or as much of it as is known.
    pub resource: &'a str,
    /// Whether `resource` goes on in a way that is not known.
    pub open: bool,
    /// The whole ARN, if all of it is known.
    pub text: Option<&'a str>,
}

/// The resources of one request. Reuse it from request to request, and nothing is allocated.
#[derive(Debug, Default)]
pub struct Resources {
    text: String,
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, Copy)]
enum Entry {
    Any,
    Unknown,
    Named {
        text: Text,
        known_account: bool,
        open: bool,
        unscoped: bool,
    },
}

/// Where the parts of an ARN end in the buffer.
#[derive(Debug, Clone, Copy)]
struct Text {
    start: usize,
    partition: usize,
    service: usize,
    region: usize,
    account: usize,
    end: usize,
}

/// Bytes of a usual ARN: grown piece by piece it would be moved four times.
const USUAL: usize = 128;

/// The parts of an ARN to be added; `resource` is written piece after piece.
pub(super) struct Parts<'a> {
    pub(super) partition: &'a str,
    pub(super) service: &'a str,
    pub(super) region: &'a str,
    pub(super) account: Option<&'a str>,
    pub(super) resource: &'a [&'a str],
    pub(super) open: bool,
    pub(super) unscoped: bool,
}

impl Resources {
    /// The resources, in the order in which they were named.
    pub fn iter(&self) -> impl Iterator<Item = Resource<'_>> {
        self.entries.iter().map(|entry| self.resource(*entry))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none; never so after [`super::resources`] succeeded.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The one stream that the request is about, as an ARN; its account is empty where it cannot be
    /// known. `None` where the request is about anything else, or about more.
    ///
    /// A name and an ARN of the same name, beside an unknown caller, may be two streams: what is
    /// known of both is the name.
    pub fn stream(&self) -> Option<&str> {
        let mut found: Option<(NamedArn<'_>, &str)> = None;
        for entry in &self.entries {
            let Entry::Named { text, .. } = entry else {
                return None;
            };
            let Resource::Arn(arn) = self.resource(*entry) else {
                return None;
            };
            let is_stream = arn.service == "kinesis"
                && !arn.open
                && arn
                    .resource
                    .strip_prefix("stream/")
                    .is_some_and(|name| !name.contains('/'));
            let fits = found.is_none_or(|(first, _)| {
                let same_account = first.account == arn.account;
                first.resource == arn.resource
                    && (same_account || first.account.is_none() || arn.account.is_none())
            });
            if !is_stream || !fits {
                return None;
            }
            if found.is_none() || arn.account.is_none() {
                found = Some((arn, self.text.get(text.start..text.end)?));
            }
        }
        found.map(|(_, text)| text)
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.entries.clear();
    }

    pub(super) fn any(&mut self) {
        self.entries.push(Entry::Any);
    }

    pub(super) fn unknown(&mut self) {
        if !matches!(self.entries.last(), Some(Entry::Unknown)) {
            self.entries.push(Entry::Unknown);
        }
    }

    pub(super) fn named(&mut self, parts: &Parts<'_>) {
        let start = self.text.len();
        self.text.reserve(USUAL);
        self.text.push_str("arn:");
        let partition = self.part(parts.partition);
        let service = self.part(parts.service);
        let region = self.part(parts.region);
        let account = self.part(parts.account.unwrap_or_default());
        for piece in parts.resource {
            self.text.push_str(piece);
        }
        let end = self.text.len();
        self.entries.push(Entry::Named {
            text: Text {
                start,
                partition,
                service,
                region,
                account,
                end,
            },
            known_account: parts.account.is_some(),
            open: parts.open,
            unscoped: parts.unscoped,
        });
    }

    /// Writes a part and its colon; where the part ends.
    fn part(&mut self, part: &str) -> usize {
        self.text.push_str(part);
        let end = self.text.len();
        self.text.push(':');
        end
    }

    fn resource(&self, entry: Entry) -> Resource<'_> {
        let (text, known_account, open, unscoped) = match entry {
            Entry::Any => return Resource::Any,
            Entry::Unknown => return Resource::Unknown,
            Entry::Named {
                text,
                known_account,
                open,
                unscoped,
            } => (text, known_account, open, unscoped),
        };
        // INVARIANT: the offsets are ends of pushes to `self.text`, hence in it and on boundaries.
        let piece = |start: usize, end: usize| self.text.get(start..end).unwrap_or_default();
        let arn = NamedArn {
            partition: piece(text.start + "arn:".len(), text.partition),
            service: piece(text.partition + 1, text.service),
            region: piece(text.service + 1, text.region),
            account: known_account.then(|| piece(text.region + 1, text.account)),
            resource: piece(text.account + 1, text.end),
            open,
            text: (known_account && !open).then(|| piece(text.start, text.end)),
        };
        if unscoped {
            Resource::Unscoped(arn)
        } else {
            Resource::Arn(arn)
        }
    }
}
