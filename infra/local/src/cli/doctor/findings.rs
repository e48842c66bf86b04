//! What the doctor found: one line for people, one JSON object for scripts, and how the command ends.

use serde_json::{Map, Value, json};

use crate::cli::error::{CliError, Finish};
use crate::cli::output::{Output, escaped, member};

/// How a thing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing is wrong.
    Ok,
    /// Somebody should know, and no delivery is in danger by it.
    Warn,
    /// A difference.
    Fail,
    /// It could not be looked at.
    Unchecked,
}

impl Standing {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Unchecked => "unchecked",
        }
    }

    /// What a line for people begins with.
    const fn mark(self) -> &'static str {
        match self {
            Self::Ok => "ok  ",
            Self::Warn => "warn",
            Self::Fail | Self::Unchecked => "FAIL",
        }
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Finding {
    standing: Standing,
    check: &'static str,
    text: String,
    advice: String,
    /// What a script learns besides.
    details: Map<String, Value>,
}

impl Finding {
    pub(super) fn new(standing: Standing, check: &'static str, text: &str, advice: &str) -> Self {
        Self {
            standing,
            check,
            text: text.to_owned(),
            advice: advice.to_owned(),
            details: Map::new(),
        }
    }

    pub(super) fn ok(check: &'static str, text: &str) -> Self {
        Self::new(Standing::Ok, check, text, "")
    }

    pub(super) fn fail(check: &'static str, text: &str, advice: &str) -> Self {
        Self::new(Standing::Fail, check, text, advice)
    }

    pub(super) fn unchecked(check: &'static str, text: &str, advice: &str) -> Self {
        Self::new(Standing::Unchecked, check, text, advice)
    }

    pub(super) fn with(mut self, name: &str, value: Value) -> Self {
        self.details.insert(name.to_owned(), value);
        self
    }

    pub(super) fn of_tenant(self, tenant: &str) -> Self {
        self.with("tenant", json!(tenant))
    }

    /// About an endpoint of a tenant.
    pub(super) fn of(self, tenant: &str, endpoint: &Value) -> Self {
        self.of_tenant(tenant).with("endpoint", endpoint["id"].clone())
    }

    fn document(self) -> Value {
        let mut document = json!({ "check": self.check, "status": self.standing.as_str(), "text": self.text });
        if let Some(members) = document.as_object_mut() {
            if !self.advice.is_empty() {
                members.insert("advice".to_owned(), json!(self.advice));
            }
            members.extend(self.details);
        }
        document
    }

    fn lines(self) -> String {
        let tenant = self.details.get("tenant").and_then(Value::as_str);
        let about = tenant.map_or_else(|| self.check.to_owned(), |tenant| format!("{} {tenant}", self.check));
        let line = format!("{}  {}: {}", self.standing.mark(), escaped(&about), escaped(&self.text));
        if self.advice.is_empty() {
            return line;
        }
        format!("{line}\n      {}", escaped(&self.advice))
    }
}

/// All of them, counted.
#[derive(Debug, Default)]
pub(super) struct Findings {
    ok: u64,
    warnings: u64,
    differences: u64,
    unchecked: u64,
}

impl Findings {
    /// Writes a finding and counts it.
    pub(super) fn tell(&mut self, finding: Finding, output: &mut Output) -> Result<(), CliError> {
        match finding.standing {
            Standing::Ok => self.ok += 1,
            Standing::Warn => self.warnings += 1,
            Standing::Fail => self.differences += 1,
            Standing::Unchecked => self.unchecked += 1,
        }
        if output.is_json() {
            output.json_line(&finding.document())
        } else {
            output.text(&finding.lines())
        }
    }

    /// Counts differences that are not written one by one.
    pub(super) fn count_more(&mut self, differences: u64) {
        self.differences += differences;
    }

    /// How the command ends: what is known to be wrong comes before what could not be looked at.
    pub(super) fn finish(&self) -> Finish {
        match (self.differences, self.unchecked) {
            (0, 0) => Finish::Complete,
            (0, _) => Finish::Unchecked,
            _ => Finish::Partial,
        }
    }

    /// The last line.
    pub(super) fn conclude(&self, output: &mut Output) -> Result<(), CliError> {
        let document = json!({
            "check": "summary",
            "status": if self.finish() == Finish::Complete { "ok" } else { "fail" },
            "ok": self.ok,
            "warnings": self.warnings,
            "differences": self.differences,
            "unchecked": self.unchecked,
        });
        if output.is_json() {
            return output.json_line(&document);
        }
        let counts = ["ok", "warnings", "differences", "unchecked"];
        let counts = counts.map(|name| format!("{} {}", member(&document, name), name));
        output.text(&format!("\n{}", counts.join(", ")))
    }
}
