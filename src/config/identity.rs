//! What the file says of callers, and of the gate's own identity.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use toml_span::de_helpers::TableHelper;
use toml_span::value::ValueInner;
use toml_span::{DeserError, Deserialize, Value};

use super::values::custom;
use super::{Problem, Problems};

/// `[[principal]]`: what is known of a user, role or root user.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Principal {
    /// The access key that is this principal's. Without it, the entry describes the principal
    /// however it is recognised.
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
    /// `aws:PrincipalTag/…`, all of them; absent, tags are unknown.
    #[serde(default)]
    pub tags: Option<Tags>,
}

/// Tags, by key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tags(pub Vec<(String, String)>);

/// `[[account]]`: the organization that an account is in.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Account {
    /// Twelve digits.
    pub id: String,
    /// `aws:PrincipalOrgID` of its principals, `aws:ResourceOrgID` of its streams.
    pub org_id: Option<String>,
    /// `aws:PrincipalOrgPaths`, `aws:ResourceOrgPaths`.
    pub org_paths: Option<Vec<String>>,
}

/// A file of principals and accounts, for many of them.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct IdentityMap {
    /// `[[principal]]`.
    #[serde(default, rename = "principal")]
    pub principals: Vec<Principal>,
    /// `[[account]]`.
    #[serde(default, rename = "account")]
    pub accounts: Vec<Account>,
}

/// `[[client-certificate]]`: whose a client certificate is.
#[derive(Debug, Clone)]
pub struct ClientCertificate {
    /// What a name in the certificate must look like.
    pub name: NamePattern,
    /// The ARN of whose it is.
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

/// `[endpoint.re-sign]`: the gate authenticates its clients, and signs with its own credentials.
#[derive(Debug, Clone)]
pub struct ReSign {
    /// How clients prove who they are.
    pub authenticate: Authenticate,
    /// The account of the gate's credentials; absent, it is read from their access key id.
    pub account: Option<String>,
    /// The profile of the shared AWS configuration files.
    pub profile: Option<String>,
    /// Roles to sign as, by principal. With any, a principal that has none is refused.
    pub roles: Vec<Role>,
}

/// How clients prove who they are to the gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authenticate {
    /// By a signature with local credentials; the gate's side of them is in this file.
    Sigv4(PathBuf),
    /// By a client certificate.
    Mtls,
    /// By being on this host: everyone who reaches the loopback address is the endpoint's
    /// `principal`.
    Loopback,
}

/// `[[endpoint.re-sign.role]]`: the role that requests of some principals are signed as.
#[derive(Debug, Clone)]
pub struct Role {
    /// `*`, account ids, or ARNs.
    pub principals: Vec<String>,
    /// The ARN of the role.
    pub role: String,
}

/// `[listener.tls]`: which client certificates are taken.
#[derive(Debug, Clone)]
pub struct ClientAuth {
    /// The CAs that sign them, PEM.
    pub authorities: PathBuf,
    /// Certificates that are not taken any more, PEM.
    pub revoked: Vec<PathBuf>,
    /// Whether a client must show one.
    pub required: bool,
}

/// The most entries of an identity map.
const MOST: usize = 100_000;

impl IdentityMap {
    /// Reads a map: JSON where the file's name ends in `.json`, else TOML.
    ///
    /// # Errors
    /// Every problem of the text.
    pub fn parse(text: &str, file: &Path) -> Result<IdentityMap, Problems> {
        let json = file
            .extension()
            .is_some_and(|extension| extension == "json");
        let map: IdentityMap = if json {
            serde_json::from_str(text).map_err(|error| {
                Problems(vec![Problem {
                    position: Some((error.line(), error.column())),
                    ..Problem::of_file(file, error)
                }])
            })?
        } else {
            super::read::table(text, file)?
        };
        if map.principals.len() + map.accounts.len() > MOST {
            let message = format!("more than {MOST} entries");
            return Err(Problems(vec![Problem::of_file(file, message)]));
        }
        Ok(map)
    }

    /// What its entries say of the same thing twice.
    /// Each with the path of the entry.
    pub fn overlaps(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let mut keys = HashSet::new();
        let mut arns = HashSet::new();
        for (n, principal) in self.principals.iter().enumerate() {
            let (new, what) = match &principal.access_key_id {
                Some(id) => (keys.insert(id), format!("the access key id `{id}`")),
                None => (
                    arns.insert(&principal.arn),
                    format!("the ARN `{}` and no access key", principal.arn),
                ),
            };
            if !new {
                found.push((
                    format!("principal[{n}]"),
                    format!("two principals have {what}"),
                ));
            }
        }
        let mut ids = HashSet::new();
        for (n, account) in self.accounts.iter().enumerate() {
            if !ids.insert(&account.id) {
                found.push((
                    format!("account[{n}].id"),
                    format!("two accounts have the id `{}`", account.id),
                ));
            }
        }
        found
    }
}

impl<'de> Deserialize<'de> for IdentityMap {
    fn deserialize(value: &mut Value<'de>) -> Result<Self, DeserError> {
        let mut table = TableHelper::new(value)?;
        let map = IdentityMap {
            principals: table.optional("principal").unwrap_or_default(),
            accounts: table.optional("account").unwrap_or_default(),
        };
        table.finalize(None)?;
        Ok(map)
    }
}

impl<'de> Deserialize<'de> for Principal {
    fn deserialize(value: &mut Value<'de>) -> Result<Self, DeserError> {
        let mut table = TableHelper::new(value)?;
        let arn = table.required("arn");
        let access_key_id = table.optional("access-key-id");
        let session = table.optional("session");
        let user_id = table.optional("user-id");
        let source_identity = table.optional("source-identity");
        let org_id = table.optional("org-id");
        let org_paths = table.optional("org-paths");
        let tags = table.optional("tags");
        table.finalize(None)?;
        Ok(Principal {
            access_key_id,
            arn: arn?,
            session,
            user_id,
            source_identity,
            org_id,
            org_paths,
            tags,
        })
    }
}

impl<'de> Deserialize<'de> for Account {
    fn deserialize(value: &mut Value<'de>) -> Result<Self, DeserError> {
        let mut table = TableHelper::new(value)?;
        let id = table.required("id");
        let org_id = table.optional("org-id");
        let org_paths = table.optional("org-paths");
        table.finalize(None)?;
        Ok(Account {
            id: id?,
            org_id,
            org_paths,
        })
    }
}

impl<'de> Deserialize<'de> for Tags {
    fn deserialize(value: &mut Value<'de>) -> Result<Self, DeserError> {
        let ValueInner::Table(table) = value.take() else {
            return Err(custom(value, "write tags as `{ team = \"orders\" }`"));
        };
        let mut tags = Vec::with_capacity(table.len());
        for (key, mut tag) in table {
            tags.push((key.name.into_owned(), tag.take_string(None)?.into_owned()));
        }
        Tags::new(tags).map_err(|message| custom(value, &message))
    }
}

impl<'de> serde::Deserialize<'de> for Tags {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Tags, D::Error> {
        struct Pairs;
        impl<'de> serde::de::Visitor<'de> for Pairs {
            type Value = Vec<(String, String)>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of tags")
            }

            // Not into a map: a key that is there twice must be seen.
            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(pairs)
            }
        }
        let pairs = deserializer.deserialize_map(Pairs)?;
        Tags::new(pairs).map_err(serde::de::Error::custom)
    }
}

impl Tags {
    /// Keys of tags that differ in case alone are one key to a condition.
    fn new(tags: Vec<(String, String)>) -> Result<Tags, String> {
        let mut seen = HashSet::new();
        match tags
            .iter()
            .find(|(key, _)| !seen.insert(key.to_lowercase()))
        {
            Some((key, _)) => Err(format!("two tags have the key `{key}`, case aside")),
            None => Ok(Tags(tags)),
        }
    }
}

impl<'de> Deserialize<'de> for ClientCertificate {
    fn deserialize(value: &mut Value<'de>) -> Result<Self, DeserError> {
        let mut table = TableHelper::new(value)?;
        let uri = table.optional::<String>("uri").map(NamePattern::Uri);
        let dns = table.optional::<String>("dns").map(NamePattern::Dns);
        let principal = table.required("principal");
        table.finalize(None)?;
        match (uri, dns) {
            (Some(name), None) | (None, Some(name)) => Ok(ClientCertificate {
                name,
                principal: principal?,
            }),
            _ => Err(custom(value, "name either `uri` or `dns`")),
        }
    }
}

impl<'de> Deserialize<'de> for ReSign {
    fn deserialize(value: &mut Value<'de>) -> Result<Self, DeserError> {
        let mut table = TableHelper::new(value)?;
        let how = table.required::<String>("authenticate");
        let credentials = table
            .optional::<String>("local-credentials")
            .map(PathBuf::from);
        let account = table.optional::<String>("account");
        let profile = table.optional("profile");
        let roles = table.optional("role").unwrap_or_default();
        table.finalize(None)?;
        let authenticate = match (how?.as_str(), credentials) {
            ("sigv4", Some(file)) => Authenticate::Sigv4(file),
            ("mtls", None) => Authenticate::Mtls,
            ("loopback", None) => Authenticate::Loopback,
            ("sigv4", None) => {
                return Err(custom(
                    value,
                    "`authenticate = \"sigv4\"` needs `local-credentials`, the file that \
                     `kinesis-gate credentials issue` adds to",
                ));
            }
            ("mtls" | "loopback", Some(_)) => {
                return Err(custom(
                    value,
                    "`local-credentials` is for `authenticate = \"sigv4\"` only",
                ));
            }
            (other, _) => {
                let message = format!("`{other}` is none of \"sigv4\", \"mtls\" and \"loopback\"");
                return Err(custom(value, &message));
            }
        };
        let digits = |id: &String| id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit());
        if !account.as_ref().is_none_or(digits) {
            return Err(custom(value, "`account` is not twelve digits"));
        }
        Ok(ReSign {
            authenticate,
            account,
            profile,
            roles,
        })
    }
}

impl<'de> Deserialize<'de> for Role {
    fn deserialize(value: &mut Value<'de>) -> Result<Self, DeserError> {
        let mut table = TableHelper::new(value)?;
        let principals = table.required("principals");
        let role = table.required::<String>("role");
        table.finalize(None)?;
        let role = role?;
        if !role.starts_with("arn:") || !role.contains(":role/") {
            let message = format!("`{role}` is not the ARN of a role");
            return Err(custom(value, &message));
        }
        Ok(Role {
            principals: principals?,
            role,
        })
    }
}

impl ClientAuth {
    /// Reads the keys of `[listener.tls]` that are about clients; none may be there.
    pub(super) fn read(table: &mut TableHelper<'_>) -> Option<Result<ClientAuth, &'static str>> {
        let authorities = table.optional::<String>("client-ca").map(PathBuf::from);
        let revoked = table.optional::<Vec<String>>("client-crl");
        let demand = table.optional::<String>("client-certificates");
        let Some(authorities) = authorities else {
            return (revoked.is_some() || demand.is_some()).then_some(Err(
                "`client-crl` and `client-certificates` need `client-ca`",
            ));
        };
        let required = match demand.as_deref() {
            None | Some("required") => true,
            Some("optional") => false,
            Some(_) => {
                return Some(Err(
                    "`client-certificates` is neither \"required\" nor \"optional\"",
                ));
            }
        };
        let revoked = revoked.unwrap_or_default();
        Some(Ok(ClientAuth {
            authorities,
            revoked: revoked.into_iter().map(PathBuf::from).collect(),
            required,
        }))
    }
}
