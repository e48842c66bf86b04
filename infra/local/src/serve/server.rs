//! A local run as a value: started, asked where it is, stopped. It prints nothing and listens to no signal.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use redial_domain::address::{AddressPolicy, AllowedNetworks};
use redial_domain::retry::RetryPolicy;
use redial_platform::auth::KeyText;
use redial_platform::metrics::Metrics;
use redial_platform::{Clock, Random, Store};
use rustls::pki_types::CertificateDer;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::ServeError;
use crate::billable::Billable;
use crate::cli::ServeArgs;
use crate::faults::Faults;
use crate::runtime::data_folder::{self, DataFolder};
use crate::runtime::{FunctionSettings, Machine, Running, Storage, http};
use crate::template::Template;

/// How long a stop waits for deliveries under way: a little more than the longest timeout of an endpoint, 30 s.
pub const STOP_GRACE: Duration = Duration::from_secs(35);

/// How long a stop waits for requests under way; only then are deliveries waited for.
const HTTP_GRACE: Duration = Duration::from_secs(5);

/// What the numbers of a local run are of, where a deployment has the name of its stack.
const STACK: &str = "redial-serve";

/// What a local run allows besides public addresses: this machine, so that a receiver on it can be tried out.
pub(super) const LOCAL_TARGETS: [&str; 1] = ["127.0.0.1/32"];

/// Redial, running in this process.
pub struct Server {
    url: String,
    billable: Option<Billable>,
    key: KeyText,
    folder: DataFolder,
    machine: Machine,
    running: Running,
    stop_http: watch::Sender<bool>,
    http: JoinHandle<std::io::Result<()>>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Server {
    /// Starts everything. When this returns, requests are answered and the commands find the server by its note.
    ///
    /// # Errors
    /// [`ServeError`] says what stands in the way; nothing runs then.
    pub async fn start(args: &ServeArgs) -> Result<Self, ServeError> {
        let template = match &args.template {
            Some(path) => Template::from_file(path)?,
            None => Template::built_in()?,
        };
        let (clock, random) = (Clock::System, Random::System);
        let folder = DataFolder::open(&args.data)?;
        let listener = listen(args.listen).await?;
        let url = match listener.local_addr() {
            Ok(address) => format!("http://{address}"),
            Err(source) => return Err(refused(args.listen, source)),
        };
        let secrets_key = folder.secrets_key(&random)?;
        let key = folder.operator_key(&random, clock.now())?;
        let billable = args.billable.as_ref().map(|_| Billable::default());
        let settings = FunctionSettings {
            billable: billable.clone(),
            targets: targets(args.strict_targets)?,
            extra_roots: authorities(args.extra_authorities.as_deref())?,
            default_retry: match &args.schedule {
                Some(schedule) => RetryPolicy::from_delays(schedule.delays_s().to_vec())?,
                None => RetryPolicy::default(),
            },
            frame_ancestors: args.console_ancestors.clone(),
            clock: clock.clone(),
            faults: Faults::told(&clock),
            metrics: Metrics::logged(STACK),
            ..FunctionSettings::new(url.as_str(), secrets_key)
        };
        let storage = Storage::Folder(folder.path().to_owned());
        let machine = Machine::open(&template, &storage, settings).await?;
        store_key(machine.functions().store(), &key, &clock).await?;
        let (stop_http, stopped) = watch::channel(false);
        let http = tokio::spawn(http::serve(listener, machine.router(), http::Bounds::SERVED, stopped));
        let running = machine.start();
        folder.announce(&url, &key)?;
        Ok(Self {
            url,
            billable,
            key,
            folder,
            machine,
            running,
            stop_http,
            http,
        })
    }

    /// Scheme, host and port of everything.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What is counted, if anything is.
    #[must_use]
    pub const fn billable(&self) -> Option<&Billable> {
        self.billable.as_ref()
    }

    /// Where the console is.
    #[must_use]
    pub fn console(&self) -> String {
        format!("{}/console", self.url)
    }

    /// The operator's key.
    #[must_use]
    pub const fn key(&self) -> &KeyText {
        &self.key
    }

    /// The data folder, absolute.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Waits until it can no longer go on, with the reason; for ever while all is well.
    pub async fn failed(&mut self) -> ServeError {
        tokio::select! {
            lost = self.machine.services().lost() => ServeError::Storage(lost),
            ended = &mut self.http => ServeError::Http(match ended {
                Ok(Err(source)) => source,
                Ok(Ok(())) => std::io::Error::other("it was stopped"),
                Err(source) => std::io::Error::other(source),
            }),
        }
    }

    /// Takes back the note by which the commands find the server.
    pub fn withdraw(&self) {
        if let Err(error) = self.folder.withdraw() {
            tracing::warn!(%error, "serve.note_left");
        }
    }

    /// Takes no more requests, fetches no more messages, and waits at most `grace` for what is under way. Answers how many
    /// batches were not finished: their messages are tried again at the next start.
    pub async fn stop(self, grace: Duration) -> usize {
        self.withdraw();
        self.stop_http.send_replace(true);
        let answered = timeout(HTTP_GRACE.min(grace), self.http);
        let (answered, unfinished) = tokio::join!(answered, self.running.stop(grace));
        if answered.is_err() {
            tracing::warn!("serve.requests_cut_off");
        }
        self.machine.close().await;
        unfinished
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    if !address.ip().is_loopback() {
        return Err(ServeError::NotLoopback(address));
    }
    TcpListener::bind(address)
        .await
        .map_err(|source| refused(address, source))
}

fn refused(address: SocketAddr, source: std::io::Error) -> ServeError {
    ServeError::Listen { address, source }
}

fn targets(strict: bool) -> Result<AddressPolicy, ServeError> {
    if strict {
        return Ok(AddressPolicy::strict());
    }
    Ok(AddressPolicy::with_local(AllowedNetworks::parse(LOCAL_TARGETS)?, true))
}

/// The certificate authorities that a receiver of one's own may have its certificate from.
fn authorities(file: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, ServeError> {
    let Some(path) = file else { return Ok(Vec::new()) };
    let unread = |source| ServeError::AuthoritiesFile {
        path: path.to_owned(),
        source,
    };
    let pem = std::fs::read(path).map_err(unread)?;
    Ok(redial_egress::authorities_of_pem(&pem)?)
}

/// Stores the operator's key if it is not there: at the first start, or after somebody revoked it or allowed it from some
/// networks only. Who can read its file and start this process is not shut out. Its last use stays.
async fn store_key(store: &Store, key: &KeyText, clock: &Clock) -> Result<(), ServeError> {
    let Some(wanted) = data_folder::stored(key, clock.now()) else {
        return Ok(());
    };
    match store.api_key(&wanted.id).await? {
        Some(there) if there.hash == wanted.hash && there.allowed_networks.is_none() => return Ok(()),
        Some(_) => {
            store.delete_api_key(&wanted.id).await?;
        }
        None => {}
    }
    store.put_api_key(&wanted).await?;
    Ok(())
}
