//! The condition context of an endpoint: the keys that every request through it has.

use crate::policy::{Context, Fact, Key, Value};

use super::endpoint::Endpoint;

/// The condition context of any request through an endpoint.
pub(super) struct EndpointContext<'a>(pub(super) &'a Endpoint);

impl Context for EndpointContext<'_> {
    fn value(&self, key: Key<'_>) -> Fact<Value<'_>> {
        self.0.condition_value(key)
    }
}

impl Endpoint {
    /// The value of a condition key, if the endpoint alone determines it.
    pub(in crate::gate) fn condition_value(&self, key: Key<'_>) -> Fact<Value<'_>> {
        match key {
            Key::SourceVpce => Fact::Known(Value::Text(&self.id)),
            Key::SourceVpc => known_text(self.vpc.as_deref()),
            Key::SourceVpcArn => known_text(self.owner.vpc_arn.as_deref()),
            Key::VpceAccount => known_text(self.owner.account.as_deref()),
            Key::VpceOrgId => known_text(self.owner.organization.id.as_deref()),
            Key::VpceOrgPaths => known_texts(self.owner.organization.paths.as_ref()),
            Key::RequestedRegion => Fact::Known(Value::Text(&self.region)),
            _ => Fact::Unknown,
        }
    }
}

/// A configured value; unknown if the configuration has none.
pub(in crate::gate) fn known_text(text: Option<&str>) -> Fact<Value<'_>> {
    text.map_or(Fact::Unknown, |text| Fact::Known(Value::Text(text)))
}

/// As [`known_text`], for a key of several values.
pub(in crate::gate) fn known_texts(texts: Option<&Vec<String>>) -> Fact<Value<'_>> {
    texts.map_or(Fact::Unknown, |texts| Fact::Known(Value::Many(texts)))
}
