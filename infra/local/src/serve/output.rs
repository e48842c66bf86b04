//! What `redial serve` says: on stdout that it is ready, on stderr how it stops. The key is shown on stdout only.

use std::io::{self, Write as _};
use std::path::Path;

use super::server::{LOCAL_TARGETS, Server};
use crate::cli::ServeArgs;

/// The data folder that the other commands look into by themselves.
const DEFAULT_FOLDER: &str = "./redial-data";

/// The tenant of the first commands.
const FIRST_TENANT: &str = "demo";

/// Says that it is ready: one line for scripts, or what a person needs for the next step.
pub(super) fn ready(args: &ServeArgs, server: &Server) -> io::Result<()> {
    let text = if args.json {
        let line = serde_json::json!({
            "url": server.url(),
            "console": server.console(),
            "key": server.key().reveal(),
        });
        format!("{line}\n")
    } else {
        welcome(args, server)
    };
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

fn welcome(args: &ServeArgs, server: &Server) -> String {
    let targets = if args.strict_targets {
        "https to public addresses only, as deployed".to_owned()
    } else {
        let local = LOCAL_TARGETS.join(", ");
        format!("also http and {local}, because this is a local run; --strict-targets refuses them")
    };
    let redial = program();
    let folder = if args.data == Path::new(DEFAULT_FOLDER) {
        String::new()
    } else {
        format!(" --data-dir {}", quoted(&server.folder().display().to_string()))
    };
    format!(
        "Redial is running. Ctrl-C stops it; what it accepted stays on disk.\n\
         \n\
         \x20 console  {console}/sign-in#key={key}\n\
         \x20 URL      {url}\n\
         \x20 key      {key}\n\
         \x20 data     {data}\n\
         \x20 targets  {targets}\n\
         \n\
         Next, in two more terminals:\n\
         \x20 {redial} listen --tenant {FIRST_TENANT}{folder}\n\
         \x20 {redial} send call.ended --tenant {FIRST_TENANT}{folder}\n",
        console = server.console(),
        url = server.url(),
        key = server.key().reveal(),
        data = server.folder().display(),
    )
}

/// How this program is called from any folder.
fn program() -> String {
    let path = std::env::current_exe().map(|path| path.display().to_string());
    quoted(&path.unwrap_or_else(|_| "redial".to_owned()))
}

/// A text as a shell reads it as one word.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%=,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// One line for a person. Nobody may be there to read it.
pub(super) fn note(line: &str) {
    drop(writeln!(io::stderr(), "redial serve: {line}"));
}

/// Says how the stop went.
pub(super) fn stopped(unfinished: usize) {
    if unfinished == 0 {
        note("stopped; nothing is under way");
    } else {
        note(&format!(
            "stopped; {unfinished} batches were under way and will be tried again at the next start"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_words_of_a_shell() {
        assert_eq!(quoted("/usr/local/bin/redial"), "/usr/local/bin/redial");
        assert_eq!(quoted("/my disk/redial"), "'/my disk/redial'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted("$(x)"), "'$(x)'");
        assert_eq!(quoted(""), "''");
    }
}
