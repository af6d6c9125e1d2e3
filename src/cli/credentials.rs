//! `kinesis-gate credentials`: issues credentials for clients of the gate.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use crate::app;
use crate::config::Config;
use crate::credentials::{self, IssueError, IssueRequest};

use super::output::finish;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Issue credentials with which a client signs its requests to this gate, and to no other
    /// service: JSON as an SDK's `credential_process` reads it.
    Issue(Issue),
}

#[derive(Debug, clap::Args)]
struct Issue {
    /// Whom they are for: the ARN of a user or of a role, a role's with its path.
    #[arg(long, value_name = "ARN")]
    principal: String,
    /// The name of a role's session.
    #[arg(long, value_name = "NAME")]
    session: Option<String>,
    /// How long they live: `30m`, `12h`, `7d`; 90 days at most.
    #[arg(long, value_name = "TIME", default_value = "12h", value_parser = ttl)]
    ttl: Duration,
    /// The gate's configuration: its endpoints that authenticate by signature say which file the
    /// gate's side goes to, and for which regions.
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "store",
        required_unless_present = "store"
    )]
    config: Option<PathBuf>,
    /// The file that the gate's side goes to, where the configuration is not at hand.
    #[arg(long, value_name = "FILE", requires = "region")]
    store: Option<PathBuf>,
    /// The region of the gate's endpoint; may be given several times.
    #[arg(long, value_name = "REGION", conflicts_with = "config")]
    region: Vec<String>,
    /// Where the client's side goes, readable by its owner only; standard output if not given.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let Command::Issue(issue) = &arguments.command;
    finish(issue.run())
}

impl Issue {
    fn run(&self) -> Result<(), String> {
        let (store, regions) = self.store()?;
        let order = IssueRequest {
            principal: self.principal.clone(),
            session: self.session(),
            regions,
            ttl: self.ttl,
        };
        let issued =
            credentials::issue(&order, &store, app::clock()).map_err(|error| match error {
                IssueError::Principal => format!("`{}`: {error}", self.principal),
                error => format!("{}: {error}", store.display()),
            })?;
        let json = issued.json();
        match &self.out {
            None => writeln!(io::stdout(), "{json}"),
            Some(file) => write_private(file, &json),
        }
        .map_err(|error| {
            let name = self.out.as_deref().unwrap_or(Path::new("standard output"));
            format!("{}: cannot be written: {error}", name.display())
        })
    }

    /// The name of the role's session. Every role needs a session name.
    fn session(&self) -> Option<String> {
        let is_role = self.principal.contains(":role/");
        let default = || is_role.then(|| "local".to_owned());
        self.session.clone().or_else(default)
    }

    /// The gate's file of local credentials, and the regions.
    fn store(&self) -> Result<(PathBuf, Vec<String>), String> {
        let Some(file) = &self.config else {
            return Ok((self.store.clone().unwrap_or_default(), self.region.clone()));
        };
        let text = std::fs::read_to_string(file)
            .map_err(|error| format!("{}: cannot be read: {error}", file.display()))?;
        let config = Config::parse(&text, file).map_err(|problems| problems.to_string())?;
        let mut store = None;
        let mut regions = Vec::new();
        for endpoint in &config.endpoints {
            let Some(file_of_endpoint) = endpoint.local_credentials() else {
                continue;
            };
            if store.is_some_and(|store| store != file_of_endpoint) {
                return Err(format!(
                    "{}: its endpoints have different files of local credentials: say which with \
                     `--store` and `--region`",
                    file.display()
                ));
            }
            store = Some(file_of_endpoint);
            if !regions.contains(&endpoint.region) {
                regions.push(endpoint.region.clone());
            }
        }
        match store {
            Some(store) => Ok((store.to_owned(), regions)),
            None => Err(format!(
                "{}: no endpoint has `re-sign.authenticate = \"sigv4\"`",
                file.display()
            )),
        }
    }
}

/// Parses a time to live, such as `12h`.
fn ttl(text: &str) -> Result<Duration, String> {
    let error = || format!("`{text}` is not a time such as `30m`, `12h` or `7d`, 90 days at most");
    let (number, unit) = text
        .split_at_checked(text.len().saturating_sub(1))
        .ok_or_else(error)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(error()),
    };
    let seconds: u64 = number.parse().map_err(|_| error())?;
    let ttl = Duration::from_secs(seconds.checked_mul(unit).ok_or_else(error)?);
    if ttl.is_zero() || ttl > credentials::MAX_TTL {
        return Err(error());
    }
    Ok(ttl)
}

/// Creates a new file each time: an existing file may be readable by others.
fn write_private(file: &Path, text: &str) -> io::Result<()> {
    let mut name = file.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    let _ = std::fs::remove_file(&new);
    let mut out = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    writeln!(out, "{text}")?;
    std::fs::rename(&new, file)
}
