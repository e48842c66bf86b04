//! What the command line takes, refuses and teaches.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser as _};

use super::error::{CliError, Problem};
use super::output::Output;
use super::*;

/// A sink that a test can read.
#[derive(Clone, Default)]
pub(super) struct Page(Arc<Mutex<Vec<u8>>>);

impl Page {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()).unwrap()
    }
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A session with the API at `url`, and the page that it writes to.
pub(super) fn session(url: &str, json: bool) -> (Session, Page) {
    let page = Page::default();
    let connection = connection::Connection {
        url: url.parse().unwrap(),
        key: "rd_test_key".to_owned(),
        allows_http: false,
    };
    let client = Client::new(&connection).unwrap();
    let output = Output::to(Box::new(page.clone()), json);
    (
        Session {
            client,
            output,
            clock: Clock::System,
        },
        page,
    )
}

/// Splits an example as a shell does, single quotes included.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(std::mem::take(&mut word)),
            c => word.push(c),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

fn examples(command: &clap::Command) -> Vec<String> {
    let texts = [
        command.get_after_help(),
        command.get_after_long_help(),
        command.get_long_about(),
    ];
    let text: String = texts.into_iter().flatten().map(|text| format!("{text}\n")).collect();
    let own = text
        .lines()
        .filter(|line| line.starts_with("  redial "))
        .map(|line| line.trim().to_owned());
    own.chain(command.get_subcommands().flat_map(examples)).collect()
}

fn refused(line: &str) -> ErrorKind {
    Cli::try_parse_from(words(line)).unwrap_err().kind()
}

#[test]
fn the_definition_of_the_command_line_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_example_in_the_help_can_be_typed() {
    let examples = examples(&Cli::command());
    assert!(examples.len() >= 30, "{examples:?}");
    for example in examples {
        if let Err(error) = Cli::try_parse_from(words(&example)) {
            panic!("{example}\n{error}");
        }
    }
}

#[test]
fn every_command_has_examples() {
    for command in Cli::command()
        .get_subcommands()
        .filter(|command| command.get_name() != "help")
    {
        assert!(examples(command).len() >= 3, "{}", command.get_name());
        assert!(command.get_about().is_some(), "{}", command.get_name());
    }
}

#[test]
fn exit_codes_and_environment_are_in_the_help() {
    let help = Cli::command().render_long_help().to_string();
    for word in [
        "Exit codes",
        "REDIAL_URL",
        "REDIAL_KEY",
        "REDIAL_TENANT",
        "REDIAL_DATA",
        "REDIAL_LISTEN",
    ] {
        assert!(help.contains(word), "{word}");
    }
}

#[test]
fn redial_alone_serves() {
    assert!(Cli::try_parse_from(["redial"]).unwrap().command.is_none());
    let Some(Command::Serve(args)) = Cli::try_parse_from(["redial", "serve"]).unwrap().command else {
        panic!("not serve");
    };
    assert!(args.listen.ip().is_loopback());
    assert!(!args.json && !args.strict_targets && args.schedule.is_none());
}

#[test]
fn contradictions_are_refused_before_anything_is_tried() {
    for line in [
        "redial send",
        "redial send call.ended --tenant a --file x",
        "redial send --file x --id 1",
        "redial send call.ended --tenant a --batch 501",
        "redial send call.ended --tenant a --batch 0",
        "redial send call.ended --tenant a --concurrency 0",
        "redial replay --tenant a",
        "redial replay --tenant a --event e --delivery d",
        "redial replay --tenant a --endpoint e",
        "redial replay --tenant a --event e --since 2h",
        "redial replay --tenant a --endpoint e --since yesterday",
        "redial replay --tenant a --endpoint e --missing",
        "redial replay --tenant a --since 2h --missing",
        "redial replay --tenant a --event e --call c",
        "redial replay --tenant a --event e --type call.*",
        "redial replay --tenant a --event e --rate 0",
        "redial replay --tenant a --event e --rate 501",
        "redial replay pause --tenant a",
        "redial listen --count 0",
        "redial listen --status 99",
        "redial endpoints create https://a.example --tenant a --auth-bearer x --auth-basic a:b",
        "redial endpoints update ep_1 --tenant a --no-auth --auth-bearer x",
        "redial endpoints update ep_1 --tenant a --auth bearer",
        "redial events list --tenant a --limit 0",
        "redial serve --schedule 1,x",
        "redial serve --listen nowhere",
        "redial unknown",
    ] {
        let error = Cli::try_parse_from(words(line)).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{line}");
    }
    assert_eq!(refused("redial --help"), ErrorKind::DisplayHelp);
}

#[test]
fn connection_flags_stand_anywhere_after_the_command() {
    for line in [
        "redial endpoints --json --url http://127.0.0.1:1 list --tenant a",
        "redial endpoints list --tenant a --json --url http://127.0.0.1:1",
        "redial replay --event e --tenant a --no-wait --wait --key rd_k",
        "redial replay --since 2h --tenant a --agent b --agent c --type call.* --rate 7 --dry-run --watch",
        "redial replay --endpoint e --since 2h --missing --to f --tenant a",
        "redial replay pause rpl_1 --tenant a --url http://127.0.0.1:1",
    ] {
        assert!(Cli::try_parse_from(words(line)).is_ok(), "{line}");
    }
}

#[test]
fn whatever_takes_a_secret_says_how_to_keep_it_out_of_the_history() {
    let mut cli = Cli::command();
    let endpoints = cli.find_subcommand_mut("endpoints").unwrap();
    for name in ["create", "update", "rotate"] {
        let help = endpoints.find_subcommand_mut(name).unwrap().render_help().to_string();
        assert!(help.contains("@FILE") && help.contains("@-"), "{help}");
    }
}

#[test]
fn no_auth_takes_nothing_of_what_follows() {
    let line = "redial endpoints update --tenant a --no-auth ep_1";
    assert!(Cli::try_parse_from(words(line)).is_ok());
}

#[test]
fn a_schedule_is_a_list_of_waits_that_can_be_kept() {
    assert_eq!("1,1,2".parse::<Schedule>().unwrap().delays_s(), [1, 1, 2]);
    assert_eq!("0, 41400".parse::<Schedule>().unwrap().delays_s(), [0, 41_400]);
    let nineteen = vec!["1"; 19].join(",");
    assert_eq!(nineteen.parse::<Schedule>().unwrap().delays_s().len(), 19);
    for text in ["", ",", "1,", "-1", "1.5", "41401", "1;2", &format!("{nineteen},1")] {
        assert_eq!(text.parse::<Schedule>(), Err(InvalidSchedule), "{text}");
    }
}

#[test]
fn exit_codes_are_the_documented_ones() {
    let refused = |status| {
        let problem = Problem {
            status,
            title: String::new(),
            detail: String::new(),
            code: String::new(),
            field: None,
        };
        CliError::Refused(problem).exit_number()
    };
    assert_eq!([404, 409, 422].map(refused), [1; 3]);
    assert_eq!([401, 403, 429, 500, 503].map(refused), [3; 5]);
    assert_eq!(CliError::usage("x").exit_number(), 2);
    assert_eq!(CliError::NotConnected(String::new()).exit_number(), 3);
}

#[test]
fn a_problem_is_one_sentence_with_code_and_field() {
    let problem = Problem {
        status: 422,
        title: "Unprocessable".into(),
        detail: "the URL is not https\u{1b}[2J".into(),
        code: "url_scheme".into(),
        field: Some("url".into()),
    };
    let expected = "the URL is not https\\u001b[2J (code url_scheme, field url, status 422)";
    assert_eq!(problem.to_string(), expected);
}

#[test]
fn a_key_shows_nowhere() {
    let cli = Cli::try_parse_from(words("redial keys list --key rd_canary_secret")).unwrap();
    assert!(!format!("{cli:?}").contains("canary"));
}
