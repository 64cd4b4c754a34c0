//! What hyper reads, over a connection in memory.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::naive::Message;

/// More than any test writes: nobody waits for room.
const PIPE_BYTES: usize = 1 << 20;

/// The requests that hyper's server reads before the connection ends.
pub(crate) fn requests(bytes: &[u8]) -> Vec<Message> {
    let read = Arc::<Mutex<Vec<Message>>>::default();
    let kept = Arc::clone(&read);
    let service = service_fn(move |request: Request<Incoming>| {
        let kept = Arc::clone(&kept);
        async move {
            let (head, body) = request.into_parts();
            let start = format!("{} {} HTTP/1.1", head.method, head.uri);
            let message = collect(start, body).await;
            kept.lock().unwrap().push(message);
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    run(async {
        let (mut caller, server) = tokio::io::duplex(PIPE_BYTES);
        caller.write_all(bytes).await.unwrap();
        caller.shutdown().await.unwrap();
        let mut builder = hyper::server::conn::http1::Builder::new();
        let serve = builder
            .half_close(true)
            .max_buf_size(PIPE_BYTES)
            .serve_connection(TokioIo::new(server), service);
        drop(serve.await);
        drop(caller);
    });
    std::mem::take(&mut *read.lock().unwrap())
}

/// The answer that hyper's client reads to a request of that method; `None` if none comes.
pub(crate) fn answer(bytes: &[u8], method: Method) -> Option<Message> {
    run(async {
        let (client, mut upstream) = tokio::io::duplex(PIPE_BYTES);
        let mut builder = hyper::client::conn::http1::Builder::new();
        let made = builder
            .max_buf_size(PIPE_BYTES)
            .handshake(TokioIo::new(client));
        let (mut requests, connection) = made.await.unwrap();
        let bytes = bytes.to_vec();
        let answering = async move {
            let mut head = [0; 1 << 10];
            let _some = upstream.read(&mut head).await.unwrap();
            upstream.write_all(&bytes).await.unwrap();
        };
        let asking = async move {
            let request = Request::builder().method(method).uri("/");
            let request = request.body(Empty::<Bytes>::new()).unwrap();
            let (head, body) = requests.send_request(request).await.ok()?.into_parts();
            let start = format!("{:?} {}", head.version, head.status.as_u16());
            Some(collect(start, body).await)
        };
        let (answer, _over, ()) = tokio::join!(asking, connection, answering);
        answer
    })
}

async fn collect(start: String, mut body: Incoming) -> Message {
    let (mut bytes, mut whole) = (Vec::new(), true);
    while let Some(frame) = body.frame().await {
        match frame.map(http_body::Frame::into_data) {
            Ok(Ok(data)) => bytes.extend_from_slice(&data),
            Ok(Err(_trailers)) => {}
            Err(_broken) => whole = false,
        }
    }
    Message {
        start,
        body: bytes,
        whole,
    }
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(work)
}
