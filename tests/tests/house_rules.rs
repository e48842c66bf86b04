//! The rules of the house that no compiler checks: who depends on whom, how long files are, what lies where, and that
//! template.yaml and the code say the same. A rule that has to be broken is changed here, with its reason.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use redial_local::template::Template;

/// Longest Rust file, in lines.
const MAX_LINES: usize = 400;
/// Longest file of tests, in lines.
const MAX_TEST_LINES: usize = 600;
/// Longest `main.rs` of a function, in lines: it wires clients and nothing else.
const MAX_MAIN_LINES: usize = 40;
/// What may lie at the top, besides dotfiles.
const TOP: [&str; 10] = [
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "docs",
    "functions",
    "infra",
    "shared",
    "template.yaml",
    "tests",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(root())
        // A package is looked at alone, however these tests are built.
        .env_remove("CARGO_RESOLVER_FEATURE_UNIFICATION")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// Every file of the repository, whether it is committed yet or not; what .gitignore names is none.
fn files() -> Vec<String> {
    // A clone may belong to another user than the one who tests it.
    let arguments = [
        "-c",
        "safe.directory=*",
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
    ];
    let listed = output("git", &arguments);
    let files = listed.lines().map(str::to_owned);
    let files: Vec<String> = files.filter(|file| root().join(file).is_file()).collect();
    assert!(files.len() > 100, "only {} files", files.len());
    files
}

fn rust_files() -> Vec<String> {
    files().into_iter().filter(|file| file.ends_with(".rs")).collect()
}

fn is_test(file: &str) -> bool {
    file.starts_with("tests/") || file.contains("/tests/") || file.ends_with("tests.rs")
}

/// The names of everything that a package is built of, without what only its tests use.
fn built_of(package: &str) -> BTreeSet<String> {
    let arguments = [
        "tree", "--locked", "-p", package, "-e", "normal", "--prefix", "none", "--format", "{p}",
    ];
    let tree = output(env!("CARGO"), &arguments);
    let names = tree.lines().filter_map(|line| line.split(' ').next());
    let names: BTreeSet<String> = names.filter(|name| *name != package).map(str::to_owned).collect();
    assert!(!names.is_empty(), "{package} is built of nothing");
    names
}

/// For each package of the workspace, the packages and crates that it names itself.
fn named_by() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = output(
        env!("CARGO"),
        &["metadata", "--locked", "--no-deps", "--format-version", "1"],
    );
    let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let named = packages.iter().map(|package| {
        let dependencies = package["dependencies"].as_array().unwrap().iter();
        let own = dependencies.filter(|dependency| dependency["kind"].is_null());
        let names = own.map(|dependency| dependency["name"].as_str().unwrap().to_owned());
        (package["name"].as_str().unwrap().to_owned(), names.collect())
    });
    named.collect()
}

/// The packages of the functions, as their folders are named.
fn functions() -> Vec<String> {
    let folders = std::fs::read_dir(root().join("functions")).unwrap();
    let names = folders.map(|folder| folder.unwrap().file_name().into_string().unwrap());
    names.map(|name| format!("redial-{name}")).collect()
}

#[test]
fn the_domain_knows_no_clock_no_socket_and_no_aws() {
    let impure = |name: &&String| {
        let families = [
            "aws", "lambda", "hyper", "tokio", "futures", "async", "redial", "rustls", "tracing",
        ];
        let crates = [
            "axum",
            "getrandom",
            "h2",
            "http",
            "rand",
            "reqwest",
            "ring",
            "socket2",
            "tower",
        ];
        families.iter().any(|family| name.starts_with(family)) || crates.contains(&name.as_str())
    };
    let used = built_of("redial-domain");
    assert_eq!(used.iter().find(impure), None);
}

#[test]
fn only_egress_and_the_command_open_a_socket_to_somebody_else() {
    let clients = ["reqwest", "hyper", "hyper-util", "h2"];
    // The third measures what deliveries cost against clients of its own, and reaches nobody but itself.
    let may = ["redial-egress", "redial", "redial-performance-dispatcher"];
    for (package, named) in named_by() {
        if !may.contains(&package.as_str()) {
            let client = named.iter().find(|name| clients.contains(&name.as_str()));
            assert_eq!(client, None, "{package}");
        }
    }
    // What ingest, api, replay and the sweeper are built of cannot reach a customer at all.
    for package in [
        "redial-platform",
        "redial-ingest",
        "redial-api",
        "redial-replay",
        "redial-sweeper",
    ] {
        let used = built_of(package);
        assert!(
            !used.contains("reqwest") && !used.contains("redial-egress"),
            "{package}"
        );
    }
}

/// What opens a way to another machine, or asks who is behind a name.
const WAYS_OUT: [&str; 12] = [
    "Client::builder",
    "Client::default()",
    " HttpConnector::new",
    "TcpSocket",
    "TcpStream::connect",
    "UdpSocket",
    "UnixDatagram",
    "UnixStream",
    "lookup_host",
    "reqwest::Client::new",
    "reqwest::get",
    "to_socket_addrs",
];

#[test]
fn one_file_makes_the_client_one_asks_for_addresses_and_every_request_passes_the_check() {
    let mut found = BTreeSet::new();
    let mut senders = BTreeSet::new();
    for file in rust_files().iter().filter(|file| !is_test(file)) {
        let text = read(file);
        // Tests that lie in the file come last.
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned();
        found.extend(
            WAYS_OUT
                .iter()
                .filter(|way| text.contains(*way))
                .map(|way| (file.clone(), *way)),
        );
        senders.extend(
            ["egress.post(", "egress.probe(", "client.request("]
                .iter()
                .filter_map(|call| {
                    let spaceless: String = text.split_whitespace().collect();
                    spaceless.contains(call).then(|| (file.clone(), *call))
                }),
        );
    }
    let expected = [
        // The command talks to a server of its user's, never to a customer's.
        ("infra/local/src/cli/bench/post.rs", "TcpStream::connect"),
        ("infra/local/src/cli/client.rs", "Client::builder"),
        ("shared/egress/src/client.rs", "Client::builder"),
        ("shared/egress/src/connect.rs", " HttpConnector::new"),
        ("shared/egress/src/resolver.rs", "to_socket_addrs"),
    ];
    assert_eq!(
        found,
        BTreeSet::from(expected.map(|(file, way)| (file.to_owned(), way)))
    );
    // Deliveries, whatever asked for them (first attempts, retries, replays, probes), leave in one place; test sends in another.
    let expected = [
        ("functions/dispatcher/src/deliver.rs", "egress.post("),
        ("functions/dispatcher/src/endpoint_test.rs", "egress.probe("),
        ("shared/egress/src/post.rs", "client.request("),
    ];
    assert_eq!(
        senders,
        BTreeSet::from(expected.map(|(file, call)| (file.to_owned(), call)))
    );
    // Both have the URL checked before there is a request.
    for (file, function) in [("post.rs", "pub async fn post("), ("probe.rs", "pub async fn probe(")] {
        let text = read(&format!("shared/egress/src/{file}"));
        let body = text.split(function).nth(1).unwrap();
        let (check, request) = (body.find("self.admit(post.url)"), body.find("request(&target"));
        assert!(check.unwrap() < request.unwrap(), "{file}");
    }
}

#[test]
fn what_is_deployed_or_released_has_no_kill_points_and_no_injected_faults() {
    let deployed = functions().into_iter().chain(["redial".to_owned()]);
    for package in deployed {
        let arguments = [
            "tree",
            "--locked",
            "-p",
            &package,
            "-e",
            "normal,features",
            "--prefix",
            "none",
            "--format",
            "{p} {f}",
        ];
        let tree = output(env!("CARGO"), &arguments);
        let platform: Vec<&str> = tree
            .lines()
            .filter(|line| line.starts_with("redial-platform "))
            .collect();
        assert!(!platform.is_empty(), "{package} is built without the platform");
        assert!(!tree.contains("failpoints"), "{package}: {platform:?}");
        // Neither is a function built with it on purpose.
        if package != "redial" {
            let manifest = read(&format!("functions/{}/Cargo.toml", package.replacen("redial-", "", 1)));
            assert!(!manifest.contains("failpoints"), "{package}");
        }
    }
    assert!(!read("template.yaml").contains("failpoints"));
}

#[test]
fn arrows_point_from_functions_to_shared_and_never_back() {
    let functions = functions();
    let named = named_by();
    // api and sweeper ask for replays. Any other arrow between functions is a decision, to be written here.
    let asks = vec!["redial-replay"];
    let between = BTreeMap::from([("redial-api", asks.clone()), ("redial-sweeper", asks)]);
    for function in &functions {
        let others: Vec<&str> = named[function].iter().map(String::as_str).collect();
        let others: Vec<&str> = others
            .into_iter()
            .filter(|name| functions.iter().any(|f| f == name))
            .collect();
        assert_eq!(
            others,
            between.get(function.as_str()).cloned().unwrap_or_default(),
            "{function}"
        );
    }
    let shared = ["redial-domain", "redial-egress", "redial-platform"];
    for package in functions.iter().map(String::as_str).chain(shared) {
        let local = named[package]
            .iter()
            .find(|name| ["redial", "redial-sqs"].contains(&name.as_str()));
        assert_eq!(local, None, "{package} depends on the run on one machine");
    }
    for package in shared {
        let function = named[package].iter().find(|name| functions.contains(name));
        assert_eq!(function, None, "{package} depends on a function");
    }
}

#[test]
fn every_file_is_short_and_begins_by_saying_what_it_is() {
    for file in rust_files() {
        let text = read(&file);
        let lines = text.lines().count();
        let most = match file.as_str() {
            file if file.starts_with("functions/") && file.ends_with("/src/main.rs") => MAX_MAIN_LINES,
            file if is_test(file) => MAX_TEST_LINES,
            _ => MAX_LINES,
        };
        assert!(lines <= most, "{file} has {lines} lines, more than {most}");
        assert!(text.starts_with("//! "), "{file} does not begin with //!");
    }
    for file in files().iter().filter(|file| file.ends_with(".py")) {
        let text = read(file);
        assert!(text.starts_with("\"\"\""), "{file} does not begin by saying what it is");
        assert!(text.lines().count() <= MAX_LINES, "{file} is too long");
    }
}

#[test]
fn the_top_of_the_repository_holds_nothing_else() {
    let entries: BTreeSet<String> = files()
        .iter()
        .map(|file| file.split('/').next().unwrap().to_owned())
        .filter(|entry| !entry.starts_with('.'))
        .collect();
    let stray: Vec<&String> = entries.iter().filter(|entry| !TOP.contains(&entry.as_str())).collect();
    assert!(stray.is_empty(), "{stray:?}");
}

/// The lines of a YAML block: those below `name:` at this indentation, comments and blank lines left out.
fn block<'a>(yaml: &'a str, name: &str, indent: usize) -> Vec<&'a str> {
    let own_indent = |line: &str| line.len() - line.trim_start().len();
    let lines = yaml
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
    let begins = |line: &&str| own_indent(line) == indent && line.trim_start().starts_with(&format!("{name}:"));
    let mut rest = lines.skip_while(|line| !begins(line));
    assert!(rest.next().is_some(), "template.yaml has no {name} at {indent}");
    rest.take_while(|line| own_indent(line) > indent).collect()
}

/// What a role of template.yaml allows: every `service:Action` in it.
fn allowed(yaml: &str, role: &str) -> BTreeSet<String> {
    let lines = block(yaml, role, 2).join("\n");
    let words = lines.split(|c: char| !(c.is_alphanumeric() || ":*-".contains(c)));
    let services = ["dynamodb:", "sqs:", "kms:", "lambda:", "logs:", "ssm:"];
    let actions = words.filter(|word| services.iter().any(|service| word.starts_with(service)));
    let actions: BTreeSet<String> = actions
        .filter(|word| !["dynamodb:LeadingKeys", "dynamodb:Attributes"].contains(word))
        .map(str::to_owned)
        .collect();
    assert!(!actions.is_empty(), "{role} allows nothing");
    actions
}

fn roles(yaml: &str) -> Vec<String> {
    let names = yaml
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.strip_suffix("Role:"));
    let roles: Vec<String> = names.map(|name| format!("{name}Role")).collect();
    assert_eq!(roles.len(), functions().len(), "one role for each function: {roles:?}");
    roles
}

#[test]
fn template_and_settings_name_the_same_environment_variables() {
    let settings = read("shared/platform/src/settings.rs");
    let calls = settings.split(['(', ')']);
    let quoted = calls.filter_map(|argument| argument.strip_prefix('"')?.strip_suffix('"'));
    let shouted = |name: &&str| !name.is_empty() && name.bytes().all(|c| c.is_ascii_uppercase() || c == b'_');
    let read_by_code: BTreeSet<&str> = quoted.filter(shouted).collect();

    let template = read("template.yaml");
    let mut set = BTreeSet::new();
    let mut variables_at = None;
    for line in template.lines().filter(|line| !line.trim().is_empty()) {
        let indent = line.len() - line.trim_start().len();
        if variables_at.is_some_and(|at| indent <= at) {
            variables_at = None;
        }
        if line.trim() == "Variables:" {
            variables_at = Some(indent);
        } else if variables_at.is_some() && !line.trim_start().starts_with('#') {
            set.insert(line.trim().split(':').next().unwrap());
        }
    }
    assert!(read_by_code.contains("EVENTS_TABLE"), "{read_by_code:?}");
    // The allocator reads its own.
    set.retain(|name| !name.starts_with("MIMALLOC_"));
    assert_eq!(read_by_code, set);
}

#[test]
fn the_dispatcher_and_the_ladder_never_send() {
    let template = read("template.yaml");
    for action in ["sqs:SendMessage", "lambda:InvokeFunction", "sqs:*"] {
        assert!(!allowed(&template, "DispatcherRole").contains(action), "{action}");
    }
    for file in rust_files()
        .iter()
        .filter(|file| file.starts_with("functions/dispatcher/src"))
    {
        let sends = ["send_deliveries", "send_message", "send_replay", ".invoke("];
        let text = read(file);
        assert_eq!(sends.iter().find(|call| text.contains(**call)), None, "{file}");
    }
}

#[test]
fn no_role_has_a_wildcard_action_or_resource() {
    let template = read("template.yaml");
    for role in roles(&template) {
        // A condition on keys narrows what actions and resources allow: there, a prefix is no wildcard.
        let lines = block(&template, &role, 2);
        let wildcard = lines
            .iter()
            .find(|line| line.contains('*') && !line.contains("dynamodb:LeadingKeys"));
        assert_eq!(wildcard, None, "{role}");
    }
}

/// The action that a call of the SDK needs, if it needs one of its own.
fn action_of(call: &str) -> Option<&'static str> {
    Some(match call {
        "get_item" => "dynamodb:GetItem",
        "put_item" | "Put::builder" => "dynamodb:PutItem",
        "update_item" | "Update::builder" => "dynamodb:UpdateItem",
        "delete_item" | "Delete::builder" => "dynamodb:DeleteItem",
        "query" => "dynamodb:Query",
        "scan" => "dynamodb:Scan",
        "batch_get_item" => "dynamodb:BatchGetItem",
        "batch_write_item" => "dynamodb:BatchWriteItem",
        "send_message" | "send_message_batch" => "sqs:SendMessage",
        "change_message_visibility_batch" => "sqs:ChangeMessageVisibility",
        "get_queue_attributes" => "sqs:GetQueueAttributes",
        "decrypt" => "kms:Decrypt",
        "invoke" => "lambda:InvokeFunction",
        "generate_data_key" => "kms:GenerateDataKey",
        _ => return None,
    })
}

#[test]
fn what_the_code_calls_is_allowed_and_what_is_allowed_is_called() {
    let template = read("template.yaml");
    let roles = roles(&template);
    let granted: BTreeSet<String> = roles.iter().flat_map(|role| allowed(&template, role)).collect();
    let platform = rust_files()
        .into_iter()
        .filter(|file| file.starts_with("shared/platform/src"));
    let mut called: BTreeSet<String> = BTreeSet::new();
    for file in platform {
        let text = read(&file);
        let words = text.split(|c: char| !(c.is_alphanumeric() || "_:(".contains(c)));
        let calls = words.filter_map(|word| word.split_once('(').map(|(name, _)| name));
        called.extend(calls.filter_map(action_of).map(str::to_owned));
    }
    // What Lambda itself needs to hand a queue's messages to a function, and to log.
    let lambda = [
        "sqs:ReceiveMessage",
        "sqs:DeleteMessage",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
    ];
    let granted: BTreeSet<String> = granted.into_iter().filter(|a| !lambda.contains(&a.as_str())).collect();
    assert!(called.len() > 10, "{called:?}");
    assert_eq!(called, granted);
}

#[test]
fn template_and_folders_name_the_same_functions() {
    let template = read("template.yaml");
    let value = |line: &str, key: &str| line.trim().strip_prefix(key).map(|rest| rest.trim().to_owned());
    let sources: BTreeSet<String> = template
        .lines()
        .filter_map(|line| value(line, "CodeUri: functions/"))
        .collect();
    let folders: BTreeSet<String> = functions().iter().map(|name| name.replacen("redial-", "", 1)).collect();
    assert_eq!(sources, folders);
    for name in folders {
        assert!(
            template.contains(&format!("Binary: redial-{name} ")),
            "redial-{name} is built"
        );
        assert!(
            root().join("functions").join(&name).join("src/main.rs").is_file(),
            "{name}"
        );
    }
}

#[test]
fn queues_wait_longer_than_functions_and_keep_for_two_weeks() {
    let template = Template::built_in().unwrap();
    assert!(!template.mappings.is_empty() && !template.queues.is_empty());
    for mapping in &template.mappings {
        let visibility_s = template.queue(&mapping.queue).unwrap().visibility_s;
        assert!(
            u64::from(visibility_s) >= 6 * mapping.timeout.as_secs(),
            "{}",
            mapping.queue
        );
    }
    for queue in &template.queues {
        assert_eq!(queue.retention_s, 14 * 24 * 3600, "{}", queue.name);
    }
}
