//! The set of resources that one request names, in one reusable buffer.

/// One resource that a request names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource<'a> {
    /// The operation has no resource: policies can only say `*`.
    Any,
    /// A resource with this ARN.
    Arn(PartialArn<'a>),
    /// A resource with this ARN, of an operation that has no resource in the authorization reference:
    /// an Allow must cover `*`, a Deny counts for `*` and for this resource.
    Unscoped(PartialArn<'a>),
    /// A resource that cannot be known here.
    Unknown,
}

/// An ARN that is known whole or in part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartialArn<'a> {
    /// `aws`, …
    pub partition: &'a str,
    /// `kinesis` or `kms`.
    pub service: &'a str,
    /// `us-east-1`, …
    pub region: &'a str,
    /// The owning account; `None` if it is unknown.
    pub account: Option<&'a str>,
    /// The part after the fifth colon, or its known prefix.
    pub resource: &'a str,
    /// Whether `resource` is a prefix, and the rest is unknown.
    pub is_prefix: bool,
    /// The whole ARN, if every part is known.
    pub text: Option<&'a str>,
}

/// The resources of one request. Reusing the value for the next request saves allocations.
#[derive(Debug, Default)]
pub struct Resources {
    text: String,
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, Copy)]
enum Entry {
    Any,
    Unknown,
    Arn {
        offsets: Offsets,
        has_account: bool,
        is_prefix: bool,
        is_unscoped: bool,
    },
}

/// Where an ARN begins, and where its parts end, in the buffer.
#[derive(Debug, Clone, Copy)]
struct Offsets {
    start: usize,
    partition: usize,
    service: usize,
    region: usize,
    account: usize,
    end: usize,
}

/// The length of a typical ARN: a buffer that grows part by part moves the ARN four times.
const USUAL_ARN_BYTES: usize = 128;

/// The parts of an ARN to add. The pieces of `resource` are joined.
pub(super) struct ArnParts<'a> {
    pub(super) partition: &'a str,
    pub(super) service: &'a str,
    pub(super) region: &'a str,
    pub(super) account: Option<&'a str>,
    pub(super) resource: &'a [&'a str],
    pub(super) is_prefix: bool,
    pub(super) is_unscoped: bool,
}

impl Resources {
    /// The resources, in the order in which the request names them.
    pub fn iter(&self) -> impl Iterator<Item = Resource<'_>> {
        self.entries.iter().map(|entry| self.resource(*entry))
    }

    /// The number of resources.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no resources: never after [`super::resolve_resources`] succeeded.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The ARN of the stream, if the stream is the only resource of the request. An unknown account
    /// is empty in this ARN.
    ///
    /// A name and an ARN with that name may be two streams if the caller's account is unknown: then
    /// only the name is known.
    pub fn single_stream(&self) -> Option<&str> {
        let mut found: Option<(PartialArn<'_>, &str)> = None;
        for entry in &self.entries {
            let (Entry::Arn { offsets, .. }, Resource::Arn(arn)) = (entry, self.resource(*entry))
            else {
                return None;
            };
            let is_stream = arn.service == "kinesis"
                && !arn.is_prefix
                && arn
                    .resource
                    .strip_prefix("stream/")
                    .is_some_and(|name| !name.contains('/'));
            let is_same = found.is_none_or(|(first, _)| {
                let same_account = first.account == arn.account;
                first.resource == arn.resource
                    && (same_account || first.account.is_none() || arn.account.is_none())
            });
            if !is_stream || !is_same {
                return None;
            }
            if found.is_none() || arn.account.is_none() {
                found = Some((arn, self.text.get(offsets.start..offsets.end)?));
            }
        }
        found.map(|(_, text)| text)
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.entries.clear();
    }

    pub(super) fn push_any(&mut self) {
        self.entries.push(Entry::Any);
    }

    pub(super) fn push_unknown(&mut self) {
        if !matches!(self.entries.last(), Some(Entry::Unknown)) {
            self.entries.push(Entry::Unknown);
        }
    }

    pub(super) fn push_arn(&mut self, parts: &ArnParts<'_>) {
        let start = self.text.len();
        self.text.reserve(USUAL_ARN_BYTES);
        self.text.push_str("arn:");
        let partition = self.push_part(parts.partition);
        let service = self.push_part(parts.service);
        let region = self.push_part(parts.region);
        let account = self.push_part(parts.account.unwrap_or_default());
        for piece in parts.resource {
            self.text.push_str(piece);
        }
        let end = self.text.len();
        self.entries.push(Entry::Arn {
            offsets: Offsets {
                start,
                partition,
                service,
                region,
                account,
                end,
            },
            has_account: parts.account.is_some(),
            is_prefix: parts.is_prefix,
            is_unscoped: parts.is_unscoped,
        });
    }

    /// Writes a part and a colon. Returns the end of the part.
    fn push_part(&mut self, part: &str) -> usize {
        self.text.push_str(part);
        let end = self.text.len();
        self.text.push(':');
        end
    }

    fn resource(&self, entry: Entry) -> Resource<'_> {
        let (offsets, has_account, is_prefix, is_unscoped) = match entry {
            Entry::Any => return Resource::Any,
            Entry::Unknown => return Resource::Unknown,
            Entry::Arn {
                offsets,
                has_account,
                is_prefix,
                is_unscoped,
            } => (offsets, has_account, is_prefix, is_unscoped),
        };
        // INVARIANT: the offsets are ends of pushes to `self.text`, hence in it and on boundaries.
        let part = |start: usize, end: usize| self.text.get(start..end).unwrap_or_default();
        let arn = PartialArn {
            partition: part(offsets.start + "arn:".len(), offsets.partition),
            service: part(offsets.partition + 1, offsets.service),
            region: part(offsets.service + 1, offsets.region),
            account: has_account.then(|| part(offsets.region + 1, offsets.account)),
            resource: part(offsets.account + 1, offsets.end),
            is_prefix,
            text: (has_account && !is_prefix).then(|| part(offsets.start, offsets.end)),
        };
        if is_unscoped {
            Resource::Unscoped(arn)
        } else {
            Resource::Arn(arn)
        }
    }
}
