//! The identity map: the configured facts about principals, accounts and client certificates.

use std::collections::HashSet;
use std::fmt;
use std::path::Path;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};

use super::parse::{FromTable, FromToml, Table, TomlValue, parse};
use super::problem::{Problem, Problems};

/// `[[principal]]`: an IAM user, role or account root.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Principal {
    /// The access key of this principal. If absent, the entry describes the principal for every
    /// means of authentication.
    pub access_key_id: Option<String>,
    /// The user, role or root ARN (`aws:PrincipalArn`), with the role's path.
    pub arn: String,
    /// The name of a role's session.
    pub session: Option<String>,
    /// `aws:userid`.
    pub user_id: Option<String>,
    /// `aws:SourceIdentity`.
    pub source_identity: Option<String>,
    /// `aws:PrincipalOrgID`.
    pub org_id: Option<String>,
    /// `aws:PrincipalOrgPaths`.
    pub org_paths: Option<Vec<String>>,
    /// All of `aws:PrincipalTag/…`; if absent, tags are unknown.
    #[serde(default)]
    pub tags: Option<Tags>,
}

/// Tags as pairs of key and value. No two keys are equal when case is ignored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tags(pub Vec<(String, String)>);

/// `[[account]]`: the organization that an account is in.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Account {
    /// Twelve digits.
    pub id: String,
    /// `aws:PrincipalOrgID` of its principals, `aws:ResourceOrgID` of its streams.
    pub org_id: Option<String>,
    /// `aws:PrincipalOrgPaths`, `aws:ResourceOrgPaths`.
    pub org_paths: Option<Vec<String>>,
}

/// The principals and accounts of a configuration, or of a separate identity map file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct IdentityMap {
    /// `[[principal]]`.
    #[serde(default, rename = "principal")]
    pub principals: Vec<Principal>,
    /// `[[account]]`.
    #[serde(default, rename = "account")]
    pub accounts: Vec<Account>,
}

/// `[[client-certificate]]`: the principal of a client certificate.
#[derive(Debug, Clone)]
pub struct ClientCertificate {
    /// The pattern for a name in the certificate.
    pub name: NamePattern,
    /// The ARN of the principal.
    pub principal: String,
}

/// A pattern for a subject alternative name; `*` is any run of characters within a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamePattern {
    /// A URI such as a SPIFFE id; segments end at `/`.
    Uri(String),
    /// A DNS name; segments end at `.`.
    Dns(String),
}

/// The most entries of a separate identity map file.
const MAX_ENTRIES: usize = 100_000;

impl IdentityMap {
    /// Parses an identity map: JSON if the file's name ends in `.json`, otherwise TOML.
    ///
    /// # Errors
    /// All problems of a TOML text, the first of a JSON text.
    pub fn parse(text: &str, file: &Path) -> Result<IdentityMap, Problems> {
        let is_json = file.extension().is_some_and(|it| it == "json");
        let map: IdentityMap = match is_json {
            true => serde_json::from_str(text).map_err(|error| {
                Problems(vec![Problem {
                    position: Some((error.line(), error.column())),
                    ..Problem::of_file(file, error)
                }])
            })?,
            false => parse(text, file)?,
        };
        if map.principals.len() + map.accounts.len() > MAX_ENTRIES {
            let message = format_args!("more than {MAX_ENTRIES} entries");
            return Err(Problems(vec![Problem::of_file(file, message)]));
        }
        Ok(map)
    }

    /// Entries with the key, ARN or account of an earlier entry: the path of each, and a message.
    pub fn overlaps(&self) -> Vec<(String, String)> {
        let mut overlaps = Vec::new();
        let mut keys = HashSet::new();
        let mut arns = HashSet::new();
        for (n, principal) in self.principals.iter().enumerate() {
            let (is_new, what) = match &principal.access_key_id {
                Some(id) => (keys.insert(id), format!("the access key id `{id}`")),
                None => (
                    arns.insert(&principal.arn),
                    format!("the ARN `{}` and no access key", principal.arn),
                ),
            };
            if !is_new {
                let message = format!("two principals have {what}");
                overlaps.push((format!("principal[{n}]"), message));
            }
        }
        let mut ids = HashSet::new();
        for (n, account) in self.accounts.iter().enumerate() {
            if !ids.insert(&account.id) {
                let message = format!("two accounts have the id `{}`", account.id);
                overlaps.push((format!("account[{n}].id"), message));
            }
        }
        overlaps
    }
}

impl Tags {
    /// Tag keys that differ only in case are one key to a condition.
    fn new(tags: Vec<(String, String)>) -> Result<Tags, String> {
        let mut seen = HashSet::new();
        let mut keys = tags.iter().map(|(key, _)| key);
        match keys.find(|key| !seen.insert(key.to_lowercase())) {
            Some(key) => Err(format!("two tags have the key `{key}`, case aside")),
            None => Ok(Tags(tags)),
        }
    }
}

impl FromTable for IdentityMap {
    fn from_table(table: &mut Table<'_>) -> Option<IdentityMap> {
        Some(IdentityMap {
            principals: table.optional("principal").unwrap_or_default(),
            accounts: table.optional("account").unwrap_or_default(),
        })
    }
}

impl FromTable for Principal {
    fn from_table(table: &mut Table<'_>) -> Option<Principal> {
        Some(Principal {
            arn: table.required("arn").unwrap_or_default(),
            access_key_id: table.optional("access-key-id"),
            session: table.optional("session"),
            user_id: table.optional("user-id"),
            source_identity: table.optional("source-identity"),
            org_id: table.optional("org-id"),
            org_paths: table.optional("org-paths"),
            tags: table.optional("tags"),
        })
    }
}

impl FromTable for Account {
    fn from_table(table: &mut Table<'_>) -> Option<Account> {
        Some(Account {
            id: table.required("id").unwrap_or_default(),
            org_id: table.optional("org-id"),
            org_paths: table.optional("org-paths"),
        })
    }
}

impl FromTable for ClientCertificate {
    fn from_table(table: &mut Table<'_>) -> Option<ClientCertificate> {
        let uri = table.optional("uri").map(NamePattern::Uri);
        let dns = table.optional("dns").map(NamePattern::Dns);
        let principal = table.required("principal");
        table.sound()?;
        Some(ClientCertificate {
            name: match (uri, dns) {
                (Some(name), None) | (None, Some(name)) => name,
                _ => return table.refuse("name either `uri` or `dns`"),
            },
            principal: principal?,
        })
    }
}

impl FromToml for Tags {
    fn from_toml(mut value: TomlValue<'_>) -> Option<Tags> {
        let entries = value.entries("write tags as `{ team = \"orders\" }`")?;
        let pairs = entries
            .into_iter()
            .map(|(key, tag)| Some((key, String::from_toml(tag)?)));
        Tags::new(pairs.collect::<Option<_>>()?)
            .map_err(|message| value.refuse::<()>(message))
            .ok()
    }
}

impl<'de> Deserialize<'de> for Tags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Tags, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Vec<(String, String)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tags")
            }

            // Not into a map: a repeated key must be seen.
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(pairs)
            }
        }
        let pairs = deserializer.deserialize_map(Pairs)?;
        Tags::new(pairs).map_err(D::Error::custom)
    }
}
