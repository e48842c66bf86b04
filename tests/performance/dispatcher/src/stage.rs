//! Everything around what is measured: DynamoDB and KMS behind a socket, the receiver, a tenant with an endpoint, and at the
//! end the look whether all that was sent has arrived and is written down.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use bytes::Bytes;
use clap::ValueEnum as _;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use redial_domain::address::{AddressPolicy, AllowedNetworks};
use redial_domain::delivery::DeliveryState;
use redial_domain::{DeliveryId, EndpointId, TenantId};
use redial_local::connector::{Answer, Service as _};
use redial_local::dynamodb::Dynamo;
use redial_local::kms::Kms;
use redial_local::runtime::{FunctionSettings, Machine, Storage};
use redial_local::template::Template;
use redial_platform::auth::{self, Scope};
use redial_platform::{Clock, Random, keys};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tower::ServiceExt as _;

use crate::events::{self, API_ORIGIN, DELIVERY_QUEUE, TENANT, Target};
use crate::measured::{MARK, Orders, Sent, sent_events};
use crate::{Arguments, Failure, report};

/// What the key of KMS is derived from.
const SECRETS_KEY: [u8; 32] = [7; 32];
/// Its name in the template.
const KMS_KEY: &str = "SecretsKey";
/// The tables' names in the template.
const TABLES: [(&str, &str); 2] = [("CONFIG_TABLE", "ConfigTable"), ("EVENTS_TABLE", "EventsTable")];
/// Records that are read at a time.
const READ_AT_ONCE: usize = 100;

/// Measures, prints, and fails if anything was lost.
pub(crate) async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (mut receiver, receiver_port) = receiver().await?;
    let folder = tempfile::tempdir()?;
    let machine = machine(folder.path().to_owned()).await?;
    let calls = Arc::<AtomicUsize>::default();
    let kms = Kms::new(KMS_KEY, &SECRETS_KEY, Random::System);
    let aws_port = serve(Aws {
        dynamo: machine.services().dynamo().clone(),
        kms: kms.clone(),
        calls: Arc::clone(&calls),
    })
    .await?;
    let orders = orders(arguments, &machine, &format!("http://127.0.0.1:{receiver_port}/calls")).await?;
    let sent = measure(&orders, aws_port, &kms.arn()).await?;
    let calls = calls.load(Ordering::SeqCst);
    receiver.kill().await?;
    for one in &sent {
        check_arrival(one, &orders)?;
    }
    for one in sent.iter().filter(|one| one.sender.records()) {
        check_records(one, &orders, &machine).await?;
    }
    report::print(arguments, &sent, calls)?;
    machine.close().await;
    Ok(())
}

/// Another process of this program.
fn process(arguments: &[String]) -> Result<Command, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
    command.kill_on_drop(true);
    Ok(command)
}

fn lines(child: &mut Child) -> Result<tokio::io::Lines<BufReader<tokio::process::ChildStdout>>, Failure> {
    let stdout = child.stdout.take().ok_or("a process without an output")?;
    Ok(BufReader::new(stdout).lines())
}

/// The receiver, with its port.
async fn receiver() -> Result<(Child, u16), Failure> {
    let mut child = process(&["receiver".to_owned()])?.spawn()?;
    let port = lines(&mut child)?.next_line().await?;
    Ok((child, port.ok_or("the receiver said no port")?.parse()?))
}

async fn machine(queues: std::path::PathBuf) -> Result<Machine, Failure> {
    let settings = FunctionSettings {
        targets: AddressPolicy::with_local(AllowedNetworks::parse(["127.0.0.1/32"])?, true),
        ..FunctionSettings::new(API_ORIGIN, SECRETS_KEY)
    };
    let storage = Storage::TablesInMemory { queues };
    Ok(Machine::open(&Template::built_in()?, &storage, settings).await?)
}

/// Makes a tenant with an endpoint, through the API.
async fn orders(arguments: &Arguments, machine: &Machine, url: &str) -> Result<Orders, Failure> {
    let (key, stored) = auth::mint(&Random::System, &Scope::Operator, "performance", Clock::wall());
    machine.functions().store().put_api_key(&stored).await?;
    let call = async |method: &str, path: String, body: Value| -> Result<Value, Failure> {
        let request = Request::builder().method(method).uri(&path);
        let request = request.header("authorization", format!("Bearer {}", key.reveal()));
        let request = request.header("content-type", "application/json");
        let response = machine
            .router()
            .oneshot(request.body(Body::from(body.to_string()))?)
            .await?;
        let status = response.status();
        let answer = response.into_body().collect().await?.to_bytes();
        if !status.is_success() {
            return Err(format!("{method} {path}: {status} {}", String::from_utf8_lossy(&answer)).into());
        }
        Ok(serde_json::from_slice(&answer)?)
    };
    call("PUT", format!("/v1/tenants/{TENANT}"), json!({})).await?;
    let made = call("POST", format!("/v1/tenants/{TENANT}/endpoints"), json!({ "url": url })).await?;
    let config = machine
        .functions()
        .store()
        .tenant_config(&TenantId::parse(TENANT)?)
        .await?;
    let text = |name: &str| {
        made[name]
            .as_str()
            .map(str::to_owned)
            .ok_or(format!("an endpoint without {name}"))
    };
    Ok(Orders {
        url: url.to_owned(),
        endpoint: text("id")?,
        secret: text("secret")?,
        shards: config.ok_or("no tenant")?.tenant.shards,
        rounds: arguments.rounds,
        deliveries: arguments.deliveries,
        payload_bytes: arguments.payload_bytes,
        only: arguments.only,
    })
}

/// What answers for AWS.
#[derive(Clone)]
struct Aws {
    dynamo: Dynamo,
    kms: Kms,
    /// How often DynamoDB was called.
    calls: Arc<AtomicUsize>,
}

/// Listens for calls of AWS's JSON protocol. Says the port.
async fn serve(aws: Aws) -> Result<u16, Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(stream.set_nodelay(true));
            let aws = aws.clone();
            let answer = service_fn(move |request| {
                let aws = aws.clone();
                async move { Ok::<_, Infallible>(aws.answer(request).await) }
            });
            // A connection that breaks is missed by whoever calls.
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
        }
    });
    Ok(port)
}

impl Aws {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let target = request.headers().get("x-amz-target");
        let target = target
            .and_then(|target| target.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        let is_signed = request.headers().contains_key("authorization");
        let body = request.into_body().collect().await.map(|body| body.to_bytes());
        let answer = match (target.split_once('.'), body) {
            (Some((service, operation)), Ok(body)) if is_signed && service.starts_with("DynamoDB") => {
                self.calls.fetch_add(1, Ordering::SeqCst);
                self.dynamo.answer(operation, body).await
            }
            (Some(("TrentService", operation)), Ok(body)) if is_signed => self.kms.answer(operation, body).await,
            // Among these are calls of SQS: while all goes well there is none.
            _ => Answer::error(400, "UnknownOperationException", "nobody is to call this"),
        };
        // As DynamoDB answers: the SDK checks the sum.
        let response = Response::builder()
            .status(answer.status)
            .header("server", "Server")
            .header("content-type", "application/x-amz-json-1.0")
            .header(
                "x-amzn-requestid",
                "UF2P6HQ9E4V8KDPJCB3H0E1T9FVV4KQNSO5AEMVJF66Q9ASUAAJG",
            )
            .header("x-amz-crc32", crc32fast::hash(&answer.body));
        response.body(Full::new(answer.body)).unwrap_or_default()
    }
}

/// Runs the process that is measured. Reads its log too, as Lambda does, and shows it only if it fails.
async fn measure(orders: &Orders, aws_port: u16, kms_key: &str) -> Result<Vec<Sent>, Failure> {
    let aws = format!("http://127.0.0.1:{aws_port}");
    let queue = |name: &str| format!("{aws}/000000000000/{name}");
    let numbers = [
        ("--shards", u32::from(orders.shards)),
        ("--rounds", orders.rounds),
        ("--deliveries", orders.deliveries),
        ("--payload-bytes", orders.payload_bytes),
    ];
    let texts = [
        ("--url", &orders.url),
        ("--endpoint", &orders.endpoint),
        ("--secret", &orders.secret),
    ];
    let mut arguments = vec!["measured".to_owned()];
    arguments.extend(
        texts
            .iter()
            .flat_map(|(name, text)| [(*name).to_owned(), (*text).clone()]),
    );
    arguments.extend(
        numbers
            .iter()
            .flat_map(|(name, number)| [(*name).to_owned(), number.to_string()]),
    );
    if let Some(only) = orders.only.and_then(|only| only.to_possible_value()) {
        arguments.extend(["--only".to_owned(), only.get_name().to_owned()]);
    }
    let mut child = process(&arguments)?
        .env_clear()
        .envs(TABLES)
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "ASIAEXAMPLEEXAMPLEEX")
        .env("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
        // As long as those of a role are.
        .env("AWS_SESSION_TOKEN", "IQoJb3JpZ2luX2VjE".repeat(50))
        .env("AWS_ENDPOINT_URL", &aws)
        .env("STACK_NAME", "redial")
        .env("KMS_KEY_ID", kms_key)
        .env("DELIVERY_QUEUE_URL", queue(DELIVERY_QUEUE))
        .env("RETRY_QUEUE_URL", queue("redial-retry"))
        .env("REPLAY_QUEUE_URL", queue("redial-replay"))
        .env("API_ORIGIN", API_ORIGIN)
        .spawn()?;
    let mut lines = lines(&mut child)?;
    let (mut sent, mut log) = (Vec::new(), Vec::new());
    while let Some(line) = lines.next_line().await? {
        match line.strip_prefix(MARK) {
            Some(text) => sent.push(serde_json::from_str(text)?),
            None => log.push(line),
        }
    }
    if child.wait().await?.success() {
        return Ok(sent);
    }
    let unusual = |line: &&String| line.contains("\"WARN\"") || line.contains("\"ERROR\"");
    let shown: Vec<&str> = log.iter().filter(unusual).take(10).map(String::as_str).collect();
    Err(format!("the process that is measured failed:\n{}", shown.join("\n")).into())
}

/// Every request arrived once, with the bytes that it must have, and all senders sent the same headers.
fn check_arrival(sent: &Sent, orders: &Orders) -> Result<(), Failure> {
    let (sender, round, received) = (sent.sender, sent.round, &sent.received);
    if received.requests != u64::from(orders.deliveries) || received.digest != sent.digest {
        let requests = received.requests;
        return Err(format!("{sender:?}, round {round}: {requests} requests arrived, or others than were sent").into());
    }
    let expected = [
        "accept",
        "content-length",
        "content-type",
        "host",
        "user-agent",
        "webhook-id",
        "webhook-signature",
        "webhook-timestamp",
    ];
    if !received.headers.iter().eq(expected) {
        return Err(format!("{sender:?} sent the headers {:?}", received.headers).into());
    }
    Ok(())
}

/// Every delivery of the dispatcher's is written down as succeeded, at the first attempt.
async fn check_records(sent: &Sent, orders: &Orders, machine: &Machine) -> Result<(), Failure> {
    let (sender, round) = (sent.sender, sent.round);
    let target = Target {
        tenant: TenantId::parse(TENANT)?,
        endpoint: EndpointId::parse(&orders.endpoint)?,
        shards: orders.shards,
    };
    let mut succeeded = 0;
    for some in sent_events(orders, &target, sent)?.chunks(READ_AT_ONCE) {
        let key = |event: &events::Event| {
            let id = DeliveryId {
                event: event.id.clone(),
                endpoint: target.endpoint.clone(),
                replay: None,
            };
            keys::delivery(&target.tenant, &id, event.accepted_at, target.shards)
        };
        let keys: Vec<_> = some.iter().map(key).collect();
        let records = machine.functions().store().deliveries(&keys, true).await?;
        let as_it_must = records
            .iter()
            .filter(|it| it.state == DeliveryState::Succeeded && it.attempts == 1);
        succeeded += as_it_must.count();
    }
    if succeeded == orders.deliveries as usize {
        return Ok(());
    }
    let deliveries = orders.deliveries;
    Err(format!("{sender:?}, round {round}: {succeeded} of {deliveries} deliveries are written down").into())
}
