//! Which Redial a command talks to, and with which key: the flags, the environment, then the file that `redial serve`
//! writes while it runs. Never hands the key of that file to another server, nor any key to whoever listens between two
//! machines.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use reqwest::Url;
use serde::Deserialize;

use super::error::CliError;
use crate::runtime::data_folder;

/// Where `redial serve` is, unless told otherwise.
const DEFAULT_URL: &str = "http://127.0.0.1:4080";
/// Where its data are.
const DEFAULT_DATA: &str = "./redial-data";

/// Flags of every command that talks to Redial.
#[derive(Args, Clone)]
#[command(next_help_heading = "Connection")]
pub(super) struct ConnectionArgs {
    /// Redial's API, as http://127.0.0.1:4080 [default: the `redial serve` that runs on --data-dir]
    #[arg(long, env = "REDIAL_URL", global = true, value_name = "URL", hide_env_values = true)]
    url: Option<String>,
    /// API key, as rd_... [default: the key of the `redial serve` that runs on --data-dir]
    #[arg(long, env = "REDIAL_KEY", global = true, value_name = "KEY", hide_env_values = true)]
    key: Option<String>,
    /// Data folder of a `redial serve` on this machine: read to find its URL and key
    #[arg(
        long,
        env = "REDIAL_DATA",
        global = true,
        value_name = "DIR",
        default_value = DEFAULT_DATA
    )]
    data_dir: PathBuf,
    /// Send the key over plain http to another machine too: everybody in between can read and use it
    #[arg(long, env = "REDIAL_ALLOW_HTTP", global = true, value_parser = clap::builder::FalseyValueParser::new())]
    allow_http: bool,
    /// Print one JSON document for scripts, and nothing else
    #[arg(long, global = true)]
    pub(super) json: bool,
}

impl fmt::Debug for ConnectionArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionArgs")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// A server and the key for it.
pub(super) struct Connection {
    pub(super) url: Url,
    pub(super) key: String,
    /// True if the key may go to another machine in the clear.
    pub(super) allows_http: bool,
}

/// True if the key may go there: by TLS, or within this machine, or anywhere if somebody said so.
pub(super) fn may_be_sent(url: &Url, allows_http: bool) -> bool {
    allows_http || url.scheme() == "https" || is_loopback(url)
}

/// True if it leads to this machine, whoever else is asked.
pub(super) fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[derive(Deserialize)]
struct ServeFile {
    url: String,
    key: String,
}

impl ConnectionArgs {
    /// As the flags of a command that has some of its own: this URL, and the key of the `redial serve` there unless one is given.
    pub(super) fn named(url: String, key: Option<String>, allow_http: bool) -> Self {
        Self {
            url: Some(url),
            key,
            data_dir: PathBuf::from(DEFAULT_DATA),
            allow_http,
            json: false,
        }
    }

    /// Decides on server and key.
    ///
    /// # Errors
    /// [`CliError::Usage`] if the URL is none, or the key would be sent in the clear; [`CliError::NotConnected`] if there is no
    /// server or no key.
    pub(super) fn resolve(&self) -> Result<Connection, CliError> {
        let (url, key) = self.server_and_key()?;
        if !may_be_sent(&url, self.allow_http) {
            return Err(CliError::usage(format!(
                "{} is plain http and not this machine: everybody in between could read the key. Give the https URL, or \
                 --allow-http if that is what you want",
                origin(&url)
            )));
        }
        Ok(Connection {
            url,
            key,
            allows_http: self.allow_http,
        })
    }

    fn server_and_key(&self) -> Result<(Url, String), CliError> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let (url, key) = (given(&self.url), given(&self.key));
        if let (Some(url), Some(key)) = (&url, &key) {
            return Ok((parse_url(url)?, key.clone()));
        }
        let running = self.running()?;
        let Some(url) = url else {
            return match (running, key) {
                (Some(running), key) => Ok((parse_url(&running.url)?, key.unwrap_or(running.key))),
                (None, Some(key)) => Ok((parse_url(DEFAULT_URL)?, key)),
                (None, None) => Err(CliError::NotConnected(format!(
                    "no `redial serve` runs on {}: start one, or give --url and --key (REDIAL_URL and REDIAL_KEY)",
                    self.data_dir.display()
                ))),
            };
        };
        let url = parse_url(&url)?;
        let same = running.filter(|running| parse_url(&running.url).is_ok_and(|other| other.origin() == url.origin()));
        let no_key = || CliError::NotConnected(format!("no key for {}: give --key or REDIAL_KEY", origin(&url)));
        let key = same.map(|running| running.key).ok_or_else(no_key)?;
        Ok((url, key))
    }

    fn running(&self) -> Result<Option<ServeFile>, CliError> {
        let unread = |source| CliError::Read {
            path: self.data_dir.clone(),
            source,
        };
        let note = data_folder::note_of_running(&self.data_dir).map_err(|error| unread(io::Error::other(error)))?;
        let file = note.map(|note| serde_json::from_slice(&note)).transpose();
        file.map_err(|error| unread(error.into()))
    }
}

fn parse_url(text: &str) -> Result<Url, CliError> {
    let url = Url::parse(text).map_err(|e| CliError::usage(format!("{text} is no URL: {e}")))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(CliError::usage(format!("{text} is no URL of http or https")));
    }
    Ok(url)
}

/// Scheme, host and port of a URL, for messages: a URL may hold a password.
pub(super) fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use redial_domain::Timestamp;
    use redial_platform::Random;

    use super::*;
    use crate::runtime::data_folder::DataFolder;

    fn args(url: Option<&str>, key: Option<&str>, dir: &Path) -> ConnectionArgs {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        ConnectionArgs {
            url: owned(url),
            key: owned(key),
            data_dir: dir.to_owned(),
            allow_http: false,
            json: false,
        }
    }

    /// A data folder as that of a server on port 4999, as long as it is not dropped; and its key.
    fn running(dir: &Path) -> (DataFolder, String) {
        let folder = DataFolder::open(dir).unwrap();
        let key = folder.operator_key(&Random::seeded(1), Timestamp::default()).unwrap();
        folder.announce("http://127.0.0.1:4999", &key).unwrap();
        (folder, key.reveal().to_owned())
    }

    #[test]
    fn flags_come_before_the_file_of_a_running_server() {
        let dir = tempfile::tempdir().unwrap();
        let (_server, file) = running(dir.path());
        let resolved = |url, key| args(url, key, dir.path()).resolve().map(|c| (c.url.to_string(), c.key));
        let local = "http://127.0.0.1:4999/".to_owned();
        assert_eq!(resolved(None, None).unwrap(), (local.clone(), file.clone()));
        assert_eq!(resolved(Some(""), Some("")).unwrap(), (local.clone(), file.clone()));
        assert_eq!(
            resolved(None, Some("rd_mine")).unwrap(),
            (local.clone(), "rd_mine".into())
        );
        assert_eq!(resolved(Some("http://127.0.0.1:4999"), None).unwrap().1, file);
        assert_eq!(
            resolved(Some("https://api.example"), Some("rd_mine")).unwrap().1,
            "rd_mine"
        );
    }

    #[test]
    fn the_key_of_the_local_server_never_goes_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let (_server, _) = running(dir.path());
        for url in ["https://api.example", "http://127.0.0.1:4998", "https://127.0.0.1:4999"] {
            let refused = args(Some(url), None, dir.path()).resolve().err();
            assert!(matches!(refused, Some(CliError::NotConnected(_))), "{url}");
        }
    }

    #[test]
    fn the_key_of_a_server_that_was_killed_is_given_to_nobody() {
        let dir = tempfile::tempdir().unwrap();
        // Its note stays, and somebody else may listen there now.
        drop(running(dir.path()));
        for url in [None, Some("http://127.0.0.1:4999")] {
            let refused = args(url, None, dir.path()).resolve().err();
            assert!(matches!(refused, Some(CliError::NotConnected(_))), "{url:?}");
        }
    }

    #[test]
    fn no_key_goes_to_another_machine_in_the_clear_unless_somebody_says_so() {
        let dir = tempfile::tempdir().unwrap();
        for url in [
            "http://api.example",
            "http://10.0.0.7:4080",
            "http://127.0.0.1.example",
            "http://[2001:db8::1]",
        ] {
            let mut args = args(Some(url), Some("rd_mine"), dir.path());
            let refused = args.resolve().err();
            assert!(matches!(&refused, Some(CliError::Usage(_))), "{url}");
            assert!(!refused.unwrap().to_string().contains("rd_mine"));
            args.allow_http = true;
            args.resolve().unwrap();
        }
        for url in [
            "https://api.example",
            "http://127.0.0.1:1",
            "http://[::1]:1",
            "http://localhost:1",
            "http://127.9.9.9",
        ] {
            let connection = args(Some(url), Some("rd_mine"), dir.path()).resolve().unwrap();
            // Nor to where the API sends us with our events.
            let ingest = "http://ingest.example/v1/events".parse().unwrap();
            assert!(!may_be_sent(&ingest, connection.allows_http), "{url}");
        }
    }

    #[test]
    fn without_a_server_or_a_readable_url_nothing_is_tried() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(
            args(None, None, dir.path()).resolve().err(),
            Some(CliError::NotConnected(_))
        ));
        assert_eq!(
            args(None, Some("rd_k"), dir.path()).resolve().unwrap().url.as_str(),
            "http://127.0.0.1:4080/"
        );
        for url in ["redial", "ftp://a.example", "file:///etc/passwd"] {
            assert!(
                matches!(
                    args(Some(url), Some("k"), dir.path()).resolve().err(),
                    Some(CliError::Usage(_))
                ),
                "{url}"
            );
        }
    }
}
