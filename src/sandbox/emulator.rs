//! A Kinesis emulator in this process, behind TLS on a free port.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use axum::Router;
use axum::body::Body;
use ferrokinesis::store::StoreOptions;
use http::Request;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use super::{Authority, Error};

/// A Kinesis emulator that serves until it is dropped. Its certificate is for `localhost`.
pub struct Emulator {
    address: SocketAddr,
    shutdown: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Emulator {
    /// Starts an emulator for an account in us-east-1 that holds streams of one shard each.
    ///
    /// # Errors
    /// If there is no free port or thread, or a name in `streams` is not a stream name.
    pub fn start(
        authority: &Authority,
        account: &str,
        streams: &[&str],
    ) -> Result<Emulator, Error> {
        let tls = TlsAcceptor::from(Arc::new(authority.server("localhost")?));
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (socket, router) = runtime.block_on(async {
            let socket = TcpListener::bind("127.0.0.1:0").await?;
            let (router, _) = ferrokinesis::create_app(StoreOptions {
                create_stream_ms: 0,
                delete_stream_ms: 0,
                update_stream_ms: 0,
                shard_limit: 100,
                aws_account_id: account.to_owned(),
                aws_region: REGION.to_owned(),
                ..StoreOptions::default()
            });
            for stream in streams {
                create_stream(&router, stream).await?;
            }
            Ok::<_, Error>((socket, router))
        })?;
        let address = socket.local_addr()?;
        let (shutdown, on_shutdown) = oneshot::channel();
        let name = "sandbox-kinesis".to_owned();
        let thread = std::thread::Builder::new().name(name).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = serve(socket, tls, router) => {}
                    _ = on_shutdown => {}
                }
            });
        })?;
        Ok(Emulator {
            address,
            shutdown: Some(shutdown),
            thread: Some(thread),
        })
    }

    /// The address that the emulator listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        drop(self.shutdown.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

const REGION: &str = "us-east-1";

async fn create_stream(router: &Router, stream: &str) -> Result<(), Error> {
    // The emulator requires a signature and does not verify it.
    let signature = format!(
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261123/{REGION}/kinesis/aws4_request, \
         SignedHeaders=host, Signature=0"
    );
    let body = format!(r#"{{"StreamName":"{stream}","ShardCount":1}}"#);
    let request = Request::post("/")
        .header(CONTENT_TYPE, "application/x-amz-json-1.1")
        .header("x-amz-target", "Kinesis_20131202.CreateStream")
        .header("x-amz-date", "20261123T000000Z")
        .header(AUTHORIZATION, signature)
        .body(Body::from(body))?;
    let response = router.clone().oneshot(request).await?;
    if response.status().is_success() {
        Ok(())
    } else {
        Err(format!(
            "the emulator refused to create `{stream}`: {}",
            response.status()
        )
        .into())
    }
}

async fn serve(socket: TcpListener, tls: TlsAcceptor, router: Router) {
    loop {
        let Ok((tcp, _)) = socket.accept().await else {
            continue;
        };
        let (tls, router) = (tls.clone(), router.clone());
        tokio::spawn(async move {
            let Ok(stream) = tls.accept(tcp).await else {
                return;
            };
            // The gate's connections end with the gate.
            let _ = auto::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
                .await;
        });
    }
}
