//! The register in PostgreSQL: one append-only table that several gateways share.
//!
//! Rows are numbered while a lock is held that ends with the transaction, so they become visible in
//! the order of their numbers, and who reads on from the last number it saw misses none. The
//! gateways need to read and insert; they change and delete nothing.

#[cfg(test)]
mod faults;
mod rows;
#[cfg(test)]
mod tests;
mod tls;

use std::fmt;
use std::net::IpAddr;
use std::time::Instant;

use tokio::runtime::{Builder, Runtime};
use tokio::task::{self, JoinHandle};
use tokio::time::timeout;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres::{Client, Config, NoTls};
use tokio_rustls::TlsConnector;

use super::backend::{Appended, Backend, Fault, Mark, NewRow, Row, Writers};
use crate::clock::Clock;
use crate::limits;

/// What `sluis register init` makes. Its comment says what it is.
const TABLE: &str = "
    CREATE TABLE sluis_register (
        number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        school text NOT NULL,
        kind text NOT NULL,
        lookup bytea NOT NULL CHECK (octet_length(lookup) = 16),
        sealed bytea NOT NULL,
        day integer NOT NULL,
        UNIQUE (school, lookup)
    );
    COMMENT ON TABLE sluis_register IS 'sluis register 1';
";
const ABOUT: &str = "SELECT obj_description(to_regclass('sluis_register'), 'pg_class')";
const FORMAT: &str = "sluis register ";
const FORMAT_VERSION: u32 = 1;

/// Where a register in PostgreSQL is, and how it is reached.
#[derive(Clone)]
pub struct Server {
    config: Config,
    tls: Option<TlsConnector>,
}

impl Server {
    /// Whether it must be reached through TLS, by what [`Self::new`] reads.
    ///
    /// # Errors
    /// [`Fault::Settings`].
    pub fn needs_tls(settings: &str) -> Result<bool, Fault> {
        let server = Self::read(settings)?;
        Ok(server.config.get_ssl_mode() == SslMode::Require)
    }

    /// Reads a connection string as `libpq` has it: `host=… user=… dbname=…`, or a URL.
    ///
    /// A server on another machine is reached through `tls` and in no other way; it is asked for
    /// nothing beside TLS by way of ALPN.
    ///
    /// # Errors
    /// [`Fault::Settings`].
    pub fn new(settings: &str, tls: Option<TlsConnector>) -> Result<Self, Fault> {
        let server = Self::read(settings)?;
        if server.config.get_ssl_mode() == SslMode::Require && tls.is_none() {
            return Err(Fault::Settings(
                "another machine is reached through TLS only",
            ));
        }
        Ok(Self { tls, ..server })
    }

    fn read(settings: &str) -> Result<Self, Fault> {
        // What is wrong is not said in the words of the library: they may show a password.
        let unread = |_words| Fault::Settings("they cannot be read");
        let config: Config = settings.parse().map_err(unread)?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(Fault::Settings("they name no host"));
        }
        let mut server = Self { config, tls: None };
        if !server.is_here() {
            server.config.ssl_mode(SslMode::Require);
        }
        server
            .config
            .application_name("sluis")
            .target_session_attrs(TargetSessionAttrs::ReadWrite)
            .connect_timeout(limits::REGISTER_CONNECT)
            .tcp_user_timeout(limits::REGISTER_STATEMENT);
        Ok(server)
    }

    /// Whether all it names is on this machine.
    fn is_here(&self) -> bool {
        let here = |host: &Host| match host {
            Host::Tcp(name) => {
                name == "localhost" || name.parse().is_ok_and(|it: IpAddr| it.is_loopback())
            }
            Host::Unix(_) => true,
        };
        let addresses = self.config.get_hostaddrs();
        self.config.get_hosts().iter().all(here) && addresses.iter().all(IpAddr::is_loopback)
    }

    async fn connect(&self) -> Result<Link, Fault> {
        match &self.tls {
            Some(tls) if self.config.get_ssl_mode() == SslMode::Require => {
                let (client, connection) = self.config.connect(tls::Tls(tls.clone())).await?;
                let driver = tokio::spawn(async { connection.await.unwrap_or_default() });
                Ok(Link { client, driver })
            }
            Some(_) | None => {
                let (client, connection) = self.config.connect(NoTls).await?;
                let driver = tokio::spawn(async { connection.await.unwrap_or_default() });
                Ok(Link { client, driver })
            }
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({:?})", self.config.get_hosts())
    }
}

/// A connection, and the task that drives it.
struct Link {
    client: Client,
    driver: JoinHandle<()>,
}

impl Drop for Link {
    /// Closes the connection, whatever it was doing: the server then lets go of the lock.
    fn drop(&mut self) {
        self.driver.abort();
    }
}

pub(super) struct Postgres {
    server: Server,
    clock: Clock,
    runtime: Runtime,
    /// None after a failure, until it is connected again.
    link: Option<Link>,
    rest: Rest,
}

/// How long a server that failed is left alone.
#[derive(Default)]
struct Rest {
    failures: u32,
    until: Option<Instant>,
}

impl Postgres {
    pub(super) fn open(server: &Server, clock: &Clock) -> Result<Self, Fault> {
        let mut postgres = Self {
            server: server.clone(),
            clock: clock.clone(),
            runtime: runtime()?,
            link: None,
            rest: Rest::default(),
        };
        postgres.attempt(async |_| Ok(()))?;
        Ok(postgres)
    }

    /// Makes the table, unless it is there.
    pub(super) fn init(server: &Server) -> Result<(), Fault> {
        runtime()?.block_on(in_time(async {
            let link = server.connect().await?;
            match format_of(&link.client).await {
                Err(Fault::NoTable) => Ok(link.client.batch_execute(TABLE).await?),
                other => other,
            }
        }))
    }

    /// Runs `work` on a connection; lets go of one that failed, and of the server for a while.
    fn attempt<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut Client) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let now = self.clock.now();
        if self.rest.until.is_some_and(|until| now < until) {
            return Err(Fault::Resting);
        }
        let (server, link) = (&self.server, &mut self.link);
        let done = self.runtime.block_on(async {
            let mut connected = match link.take().filter(|link| !link.client.is_closed()) {
                Some(connected) => connected,
                None => connected_to(server).await?,
            };
            let done = work(&mut connected.client).await?;
            *link = Some(connected);
            Ok(done)
        });
        // A driver that was told to end does so when the runtime runs.
        self.runtime.block_on(task::yield_now());
        self.rest = match &done {
            // What is wrong with its rows is no failure of the server.
            Ok(_) | Err(Fault::Damaged(_) | Fault::Lost { .. }) => Rest::default(),
            Err(_) => self.rest.after_failure(now),
        };
        done
    }
}

impl Backend for Postgres {
    fn append(&mut self, _: Mark, new: &[NewRow<'_>]) -> Result<Appended, Fault> {
        self.attempt(async |client| rows::append(client, new).await)?;
        Ok(Appended::Among)
    }

    fn read(&mut self, after: Mark, each: &mut dyn FnMut(Row<'_>)) -> Result<(), Fault> {
        self.attempt(async |client| rows::read(client, after, each).await)
    }

    fn writers(&self) -> Writers {
        Writers::Many
    }
}

impl Rest {
    /// Twice as long each time: 0.1, 0.2, 0.4 … s.
    fn after_failure(&self, now: Instant) -> Self {
        let doubled = limits::REGISTER_REST.saturating_mul(1_u32.unbounded_shl(self.failures));
        Self {
            failures: self.failures.saturating_add(1).min(16),
            until: now.checked_add(doubled.min(limits::REGISTER_REST_MAX)),
        }
    }
}

fn runtime() -> Result<Runtime, Fault> {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().build().map_err(Fault::Thread)
}

/// A connection to a server whose table is one that we know.
async fn connected_to(server: &Server) -> Result<Link, Fault> {
    in_time(async {
        let link = server.connect().await?;
        format_of(&link.client).await?;
        Ok(link)
    })
    .await
}

async fn format_of(client: &Client) -> Result<(), Fault> {
    let row = client.query_typed(ABOUT, &[]).await?;
    let about: Option<&str> = match row.first() {
        Some(row) => row.try_get(0)?,
        None => None,
    };
    let about = about.ok_or(Fault::NoTable)?;
    match about.strip_prefix(FORMAT).and_then(|it| it.parse().ok()) {
        Some(FORMAT_VERSION) => Ok(()),
        Some(other) => Err(Fault::Format(other)),
        None => Err(Fault::NoTable),
    }
}

/// What the server does not do in time it will not do: the connection may be gone.
async fn in_time<T>(work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    match timeout(limits::REGISTER_STATEMENT, work).await {
        Ok(done) => done,
        Err(_) => Err(Fault::Timeout),
    }
}
