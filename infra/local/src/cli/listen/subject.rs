//! The endpoint that `redial listen` receives for: one that it makes, or one that exists. Of one that exists nothing is changed
//! but its URL, and that only if somebody asked for it.

use redial_domain::signature::{SECRET_PREFIX, Secret};
use reqwest::{Method, Url};
use serde_json::{Value, json};

use super::ListenArgs;
use crate::cli::client::Client;
use crate::cli::error::CliError;
use crate::cli::output::{member, note};
use crate::cli::secret_text::secret;

/// The endpoint that requests are received for.
pub(super) struct Subject {
    pub(super) endpoint: String,
    /// What its requests are verified with.
    pub(super) secrets: Vec<Secret>,
    /// True if it was made for this.
    pub(super) is_ours: bool,
}

/// An endpoint that exists.
pub(super) struct Existing {
    id: String,
    url: Option<Url>,
    state: String,
    secrets: Vec<Secret>,
}

/// The secrets of a command line, each as it is or in a file.
///
/// # Errors
/// [`CliError::Usage`] if one cannot be read, or is none.
pub(super) fn given(arguments: &[String]) -> Result<Vec<Secret>, CliError> {
    let parse = |argument: &String| {
        let text = secret(argument)?;
        // One that was cut or mistyped must not pass as a text of the customer's own choosing.
        let parsed = if text.starts_with(SECRET_PREFIX) {
            Secret::parse(&text)
        } else {
            Secret::parse_chosen(&text)
        };
        parsed.map_err(|invalid| CliError::usage(format!("--secret {}", invalid.detail)))
    };
    arguments.iter().map(parse).collect()
}

/// Makes the endpoint that stands for a receiver at `here`.
pub(super) async fn register(client: &Client, args: &ListenArgs, here: &Url) -> Result<Subject, CliError> {
    let mut fields = json!({ "url": here.as_str(), "description": "redial listen" });
    if !args.types.is_empty() {
        fields["event_types"] = json!(args.types);
    }
    if !args.agents.is_empty() {
        fields["agents"] = json!(args.agents);
    }
    let path = ["v1", "tenants", &args.tenant, "endpoints"];
    let endpoint = client.send(Method::POST, &path, Some(&fields)).await?;
    let secret = endpoint["secret"].as_str().and_then(|text| Secret::parse(text).ok());
    match (endpoint["id"].as_str(), secret) {
        (Some(id), Some(secret)) => Ok(Subject {
            endpoint: id.to_owned(),
            secrets: vec![secret],
            is_ours: true,
        }),
        _ => Err(client.not_understood("the new endpoint has no id or no secret")),
    }
}

/// Looks at an endpoint that exists, and at the secrets that sign its requests, unless they are given.
pub(super) async fn look(client: &Client, args: &ListenArgs, id: &str) -> Result<Existing, CliError> {
    let path = ["v1", "tenants", &args.tenant, "endpoints", id];
    let endpoint = client.get(&path, &[]).await?;
    let mut secrets = given(&args.secrets)?;
    if secrets.is_empty() {
        secrets = revealed(client, args, id).await?;
    }
    Ok(Existing {
        id: id.to_owned(),
        url: endpoint["url"].as_str().and_then(|url| Url::parse(url).ok()),
        state: member(&endpoint, "state"),
        secrets,
    })
}

/// The secrets that sign now: two while the one before still does.
async fn revealed(client: &Client, args: &ListenArgs, id: &str) -> Result<Vec<Secret>, CliError> {
    let path = ["v1", "tenants", &args.tenant, "endpoints", id, "secret"];
    let answer = match client.get(&path, &[]).await {
        Err(CliError::Refused(problem)) if problem.is_about_the_key() => {
            note(&format!(
                "this key may not see the secret of {id}: give it with --secret"
            ));
            return Err(CliError::Refused(problem));
        }
        answer => answer?,
    };
    let texts = [&answer["secret"], &answer["previous"]["secret"]];
    let secrets: Vec<Secret> = { texts.into_iter().filter_map(Value::as_str) }
        .filter_map(|text| Secret::parse_chosen(text).ok())
        .collect();
    if secrets.is_empty() {
        return Err(client.not_understood("the endpoint has no secret"));
    }
    Ok(secrets)
}

impl Existing {
    /// The port of its URL, if that is on this machine.
    pub(super) fn port(&self) -> Option<u16> {
        let url = self
            .url
            .as_ref()
            .filter(|url| url.scheme() == "http" && is_own_host(url))?;
        url.port_or_known_default()
    }

    /// Says what a person must know to see anything arrive at `here`, and has the endpoint send there if that is wished.
    pub(super) async fn serve(self, client: &Client, args: &ListenArgs, here: &Url) -> Result<Subject, CliError> {
        if args.set_url && !self.leads_to(here) {
            let path = ["v1", "tenants", &args.tenant, "endpoints", &self.id];
            let patch = json!({ "url": here.as_str() });
            client.send(Method::PATCH, &path, Some(&patch)).await?;
        }
        for advice in self.advice(args, here, client.is_local()) {
            note(&advice);
        }
        Ok(Subject {
            endpoint: self.id,
            secrets: self.secrets,
            is_ours: false,
        })
    }

    fn leads_to(&self, here: &Url) -> bool {
        self.url.as_ref().is_some_and(|url| is_same_place(url, here))
    }

    /// What keeps its requests from arriving at `here`, or what was done about it, each with the command that changes it.
    fn advice(&self, args: &ListenArgs, here: &Url, is_local: bool) -> Vec<String> {
        let (id, tenant) = (&self.id, &args.tenant);
        let target = |url: &Url| format!("redial endpoints update {id} --tenant {tenant} --target {url}");
        let mut advice = Vec::new();
        if self.leads_to(here) {
            // It arrives.
        } else if args.set_url {
            let before = self
                .url
                .as_ref()
                .map(|url| format!("; to undo that:\n  {}", target(url)));
            advice.push(format!(
                "{id} sends to {here} from now on{}",
                before.unwrap_or_default()
            ));
        } else {
            let elsewhere = self.url.as_ref().map_or("elsewhere", Url::as_str);
            let mend = if is_local || args.public_url.is_some() {
                format!("To change that, now or with --set-url:\n  {}", target(here))
            } else {
                "A deployment cannot reach this machine: open a tunnel to it, and give its address with --public-url and --set-url"
                    .to_owned()
            };
            advice.push(format!(
                "{id} sends to {elsewhere}, not here: nothing of it arrives. {mend}"
            ));
        }
        match self.state.as_str() {
            "paused" | "disabled" => advice.push(format!(
                "{id} is {}: what it matches is held until somebody resumes it:\n  redial endpoints resume {id} --tenant {tenant}",
                self.state
            )),
            "inactive" => advice.push(format!(
                "{id} is inactive and matches nothing:\n  redial endpoints activate {id} --tenant {tenant}"
            )),
            _ => {}
        }
        advice
    }
}

impl Subject {
    /// Deletes the endpoint.
    pub(super) async fn delete(&self, client: &Client, tenant: &str) -> Result<(), CliError> {
        let path = ["v1", "tenants", tenant, "endpoints", &self.endpoint];
        client.send(Method::DELETE, &path, None).await.map(|_| ())
    }
}

/// True if requests to both arrive at the same server, whatever their paths: all are received.
fn is_same_place(one: &Url, other: &Url) -> bool {
    let hosts = one.host_str() == other.host_str() || (is_own_host(one) && is_own_host(other));
    hosts && one.scheme() == other.scheme() && one.port_or_known_default() == other.port_or_known_default()
}

/// True if it leads to the address that the receiver listens on.
fn is_own_host(url: &Url) -> bool {
    matches!(url.host_str(), Some("127.0.0.1" | "localhost"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::listen::tests::args;

    const LINE: &str = "redial listen --tenant demo --endpoint ep_1";

    fn existing(url: &str, state: &str) -> Existing {
        Existing {
            id: "ep_1".to_owned(),
            url: Url::parse(url).ok(),
            state: state.to_owned(),
            secrets: Vec::new(),
        }
    }

    fn here() -> Url {
        Url::parse("http://127.0.0.1:4090/").unwrap()
    }

    #[test]
    fn an_endpoint_that_sends_here_needs_no_advice_whatever_its_path() {
        for url in [
            "http://127.0.0.1:4090/",
            "http://127.0.0.1:4090/hooks?a=1",
            "http://localhost:4090/x",
        ] {
            let existing = existing(url, "active");
            assert_eq!(existing.port(), Some(4090));
            assert!(existing.advice(&args(LINE), &here(), true).is_empty(), "{url}");
        }
    }

    #[test]
    fn one_that_sends_elsewhere_is_said_so_with_the_command_that_changes_it() {
        for url in [
            "https://crm.example.com/in",
            "http://127.0.0.1:4091/",
            "https://127.0.0.1:4090/",
        ] {
            let advice = existing(url, "active").advice(&args(LINE), &here(), true);
            let command = "\n  redial endpoints update ep_1 --tenant demo --target http://127.0.0.1:4090/";
            assert!(
                advice[0].starts_with(&format!("ep_1 sends to {url}, not here")) && advice[0].ends_with(command),
                "{advice:?}"
            );
        }
        assert_eq!(existing("https://crm.example.com:4090/in", "active").port(), None);
    }

    #[test]
    fn a_deployment_is_not_told_to_send_to_a_machine_that_it_cannot_reach() {
        let elsewhere = existing("https://crm.example.com/in", "active");
        let advice = elsewhere.advice(&args(LINE), &here(), false);
        assert!(
            advice[0].contains("--public-url") && !advice[0].contains("127.0.0.1"),
            "{advice:?}"
        );
        let tunnel = format!("{LINE} --public-url https://tunnel.example.com/x");
        let here = Url::parse("https://tunnel.example.com/x").unwrap();
        let advice = elsewhere.advice(&args(&tunnel), &here, false);
        assert!(
            advice[0].ends_with("--target https://tunnel.example.com/x"),
            "{advice:?}"
        );
    }

    #[test]
    fn one_that_is_not_active_is_said_to_wait() {
        for (state, command) in [
            ("paused", "redial endpoints resume ep_1 --tenant demo"),
            ("disabled", "redial endpoints resume ep_1 --tenant demo"),
            ("inactive", "redial endpoints activate ep_1 --tenant demo"),
        ] {
            let advice = existing("http://127.0.0.1:4090/", state).advice(&args(LINE), &here(), true);
            assert!(advice[0].contains(state) && advice[0].ends_with(command), "{advice:?}");
        }
    }

    #[test]
    fn a_secret_that_was_cut_is_no_text_of_somebodys_choosing() {
        let cut = given(&["whsec_abc".to_owned()]).unwrap_err();
        assert!(matches!(&cut, CliError::Usage(text) if !text.contains("abc")), "{cut}");
        let chosen = given(&[
            "any text".to_owned(),
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned(),
        ])
        .unwrap();
        assert_eq!(
            chosen.iter().map(Secret::is_standard).collect::<Vec<_>>(),
            [false, true]
        );
    }
}
