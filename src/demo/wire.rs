//! Plain HTTP between the made-up parties: small servers, one small client, and what was received.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client;
use hyper::server;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::time;

/// Longer than any message of the demo.
const BODY_BYTES_MAX: usize = 4 << 20;
/// What is kept of what comes while everyone stays there.
const MESSAGES_MAX: usize = 1_000;
/// Longer than any exchange of the demo takes.
const EXCHANGE_TIME: Duration = Duration::from_secs(10);

/// A message as it was received: its first line, headers and body.
#[derive(Clone, Debug)]
pub(super) struct Message {
    /// Method and target of a request; nothing for an answer.
    pub(super) line: String,
    /// Of an answer.
    pub(super) status: StatusCode,
    pub(super) headers: String,
    pub(super) body: Bytes,
}

impl Message {
    async fn read(
        line: String,
        status: StatusCode,
        headers: &http::HeaderMap,
        body: Incoming,
    ) -> io::Result<Self> {
        let mut shown = String::new();
        for (name, value) in headers {
            // Writing to a String does not fail.
            writeln!(shown, "{name}: {}", value.as_bytes().escape_ascii()).ok();
        }
        let body = Limited::new(body, BODY_BYTES_MAX).collect().await;
        let body = body.map_err(io::Error::other)?.to_bytes();
        Ok(Self {
            line,
            status,
            headers: shown,
            body,
        })
    }

    /// All of it, to be searched.
    pub(super) fn text(&self) -> String {
        let mut text = format!("{}\n{}\n", self.line, self.headers);
        for chunk in self.body.utf8_chunks() {
            text.push_str(chunk.valid());
        }
        text
    }
}

/// What one vendor received, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Received(Arc<Mutex<Vec<Message>>>);

impl Received {
    pub(super) fn push(&self, message: Message) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() < MESSAGES_MAX {
            all.push(message);
        }
    }

    pub(super) fn all(&self) -> Vec<Message> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// An answer of a made-up server: a status and a JSON text.
pub(super) type Reply = (StatusCode, String);

/// Answers every request on `listener`, for as long as the runtime runs.
pub(super) async fn serve(
    listener: TcpListener,
    handler: impl Fn(&Message) -> Reply + Clone + Send + 'static,
) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(connection(stream, handler.clone()));
            }
            Err(_) => time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn connection(
    stream: TcpStream,
    handler: impl Fn(&Message) -> Reply + Clone + Send + 'static,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let handler = handler.clone();
        async move {
            let (head, body) = request.into_parts();
            let line = format!("{} {}", head.method, head.uri);
            let message = Message::read(line, StatusCode::OK, &head.headers, body).await?;
            let (status, text) = handler(&message);
            let mut answer = Response::new(Full::new(Bytes::from(text)));
            *answer.status_mut() = status;
            let json = header::HeaderValue::from_static("application/json");
            answer.headers_mut().insert(header::CONTENT_TYPE, json);
            Ok::<_, io::Error>(answer)
        }
    });
    // A connection that breaks is the other side's to notice.
    let served =
        server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    drop(served.await);
}

/// One request of a made-up caller.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) target: String,
    pub(super) token: &'static str,
    /// A JSON text, or nothing.
    pub(super) body: String,
}

/// Sends a request to `address` and reads the whole answer.
pub(super) async fn call(address: SocketAddr, call: Call) -> io::Result<Message> {
    let exchange = exchange(address, call);
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, "no answer in time");
    time::timeout(EXCHANGE_TIME, exchange).await.map_err(late)?
}

async fn exchange(address: SocketAddr, call: Call) -> io::Result<Message> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    let connection = tokio::spawn(connection);
    let mut request = Request::builder()
        .method(call.method)
        .uri(&call.target)
        .header(header::HOST, address.to_string())
        .header(header::AUTHORIZATION, format!("Bearer {}", call.token));
    if !call.body.is_empty() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    let request = request
        .body(Full::new(Bytes::from(call.body)))
        .map_err(io::Error::other)?;
    let answer = sender
        .send_request(request)
        .await
        .map_err(io::Error::other)?;
    let (head, body) = answer.into_parts();
    let message = Message::read(String::new(), head.status, &head.headers, body).await;
    drop(sender);
    connection.abort();
    message
}
