//! Which Redial a command talks to, and with which key: the flags, the environment, then the file that `redial serve`
//! writes while it runs. Never hands the key of that file to another server.

use std::fmt;
use std::io::ErrorKind;
use std::path::PathBuf;

use clap::Args;
use reqwest::Url;
use serde::Deserialize;

use super::error::CliError;

/// Where `redial serve` is, unless told otherwise.
const DEFAULT_URL: &str = "http://127.0.0.1:4080";
/// What `redial serve` writes into its data folder while it runs.
const SERVE_FILE: &str = "serve.json";

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
        default_value = "./redial-data"
    )]
    data_dir: PathBuf,
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
}

#[derive(Deserialize)]
struct ServeFile {
    url: String,
    key: String,
}

impl ConnectionArgs {
    /// Decides on server and key.
    ///
    /// # Errors
    /// [`CliError::Usage`] if the URL is none; [`CliError::NotConnected`] if there is no server or no key.
    pub(super) fn resolve(&self) -> Result<Connection, CliError> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let (url, key) = (given(&self.url), given(&self.key));
        if let (Some(url), Some(key)) = (&url, &key) {
            return Ok(Connection {
                url: parse_url(url)?,
                key: key.clone(),
            });
        }
        let running = self.running()?;
        let Some(url) = url else {
            return match (running, key) {
                (Some(running), key) => Ok(Connection {
                    url: parse_url(&running.url)?,
                    key: key.unwrap_or(running.key),
                }),
                (None, Some(key)) => Ok(Connection {
                    url: parse_url(DEFAULT_URL)?,
                    key,
                }),
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
        Ok(Connection { url, key })
    }

    fn running(&self) -> Result<Option<ServeFile>, CliError> {
        let path = self.data_dir.join(SERVE_FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(CliError::Read { path, source }),
        };
        let file = serde_json::from_str(&text);
        file.map(Some).map_err(|e| CliError::Read { path, source: e.into() })
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
    use super::*;

    fn args(url: Option<&str>, key: Option<&str>, dir: &std::path::Path) -> ConnectionArgs {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        ConnectionArgs {
            url: owned(url),
            key: owned(key),
            data_dir: dir.to_owned(),
            json: false,
        }
    }

    #[test]
    fn flags_come_before_the_file_of_a_running_server() {
        let dir = tempfile::tempdir().unwrap();
        let file = r#"{"url":"http://127.0.0.1:4999","key":"rd_file_secret"}"#;
        std::fs::write(dir.path().join(SERVE_FILE), file).unwrap();
        let resolved = |url, key| args(url, key, dir.path()).resolve().map(|c| (c.url.to_string(), c.key));
        let local = "http://127.0.0.1:4999/".to_owned();
        assert_eq!(resolved(None, None).unwrap(), (local.clone(), "rd_file_secret".into()));
        assert_eq!(
            resolved(Some(""), Some("")).unwrap(),
            (local.clone(), "rd_file_secret".into())
        );
        assert_eq!(
            resolved(None, Some("rd_mine")).unwrap(),
            (local.clone(), "rd_mine".into())
        );
        assert_eq!(
            resolved(Some("http://127.0.0.1:4999"), None).unwrap().1,
            "rd_file_secret"
        );
        assert_eq!(
            resolved(Some("https://api.example"), Some("rd_mine")).unwrap().1,
            "rd_mine"
        );
    }

    #[test]
    fn the_key_of_the_local_server_never_goes_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let file = r#"{"url":"http://127.0.0.1:4999","key":"rd_file_secret"}"#;
        std::fs::write(dir.path().join(SERVE_FILE), file).unwrap();
        for url in ["https://api.example", "http://127.0.0.1:4998", "https://127.0.0.1:4999"] {
            let refused = args(Some(url), None, dir.path()).resolve().err();
            assert!(matches!(refused, Some(CliError::NotConnected(_))), "{url}");
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
