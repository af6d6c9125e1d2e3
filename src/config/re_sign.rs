//! `[endpoint.re-sign]`: how clients authenticate, and which roles the gate assumes to re-sign.

use std::path::PathBuf;

use super::parse::{FromTable, Table};

/// `[endpoint.re-sign]`: the gate authenticates clients, and signs with its own credentials.
#[derive(Debug, Clone)]
pub struct ReSign {
    /// How clients authenticate.
    pub authenticate: Authenticate,
    /// The account of the gate's credentials; if absent, that of their access key id.
    pub account: Option<String>,
    /// The profile of the shared AWS configuration files.
    pub profile: Option<String>,
    /// Roles to assume, by principal. If there are any, a principal without a role is refused.
    pub roles: Vec<Role>,
}

/// How clients authenticate to the gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authenticate {
    /// By a signature with local credentials. This file is the gate's store of them.
    Sigv4(PathBuf),
    /// By a client certificate.
    Mtls,
    /// By address: every client on the loopback address is the endpoint's `principal`.
    Loopback,
}

/// `[[endpoint.re-sign.role]]`: the role that signs the requests of some principals.
#[derive(Debug, Clone)]
pub struct Role {
    /// `*`, account ids, or ARNs.
    pub principals: Vec<String>,
    /// The ARN of the role.
    pub role: String,
}

impl FromTable for ReSign {
    fn from_table(table: &mut Table<'_>) -> Option<ReSign> {
        let authenticate = table.required::<String>("authenticate");
        let credentials = table.optional("local-credentials");
        let account: Option<String> = table.optional("account");
        let profile = table.optional("profile");
        let roles = table.optional("role").unwrap_or_default();
        table.sound()?;
        let authenticate = match (authenticate?.as_str(), credentials) {
            ("sigv4", Some(file)) => Some(Authenticate::Sigv4(file)),
            ("mtls", None) => Some(Authenticate::Mtls),
            ("loopback", None) => Some(Authenticate::Loopback),
            ("sigv4", None) => table.refuse(
                "`authenticate = \"sigv4\"` needs `local-credentials`, the file that \
                 `kinesis-gate credentials issue` adds to",
            ),
            ("mtls" | "loopback", Some(_)) => {
                table.refuse("`local-credentials` is for `authenticate = \"sigv4\"` only")
            }
            (other, _) => table.refuse(format_args!(
                "`{other}` is none of \"sigv4\", \"mtls\" and \"loopback\""
            )),
        };
        let is_account = |id: &str| id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit());
        table.refuse_if(
            !account.as_deref().is_none_or(is_account),
            "`account` is not twelve digits",
        );
        Some(ReSign {
            authenticate: authenticate?,
            account,
            profile,
            roles,
        })
    }
}

impl FromTable for Role {
    fn from_table(table: &mut Table<'_>) -> Option<Role> {
        let principals = table.required("principals");
        let role: String = table.required("role")?;
        table.refuse_if(
            !role.starts_with("arn:") || !role.contains(":role/"),
            format_args!("`{role}` is not the ARN of a role"),
        );
        Some(Role {
            principals: principals?,
            role,
        })
    }
}
