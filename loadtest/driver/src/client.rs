//! One client's kept-alive HTTP connection.

use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long anything but a poll is waited for: so much longer than a server should take that it counts as none.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Where the server is.
#[derive(Debug)]
pub struct Address {
    host: String,
    port: u16,
    header: HeaderValue,
}

impl Address {
    pub fn new(url: &Uri) -> Result<Self> {
        if url.scheme_str() != Some("http") {
            bail!("--url: expected http://host:port, got {url}");
        }
        let authority = url.authority().context("--url: without a host")?;
        Ok(Self {
            host: authority.host().trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: authority.port_u16().unwrap_or(80),
            header: HeaderValue::from_str(authority.as_str())?,
        })
    }

    pub async fn connect(&self) -> Result<TcpStream> {
        let Self { host, port, .. } = self;
        let connecting = timeout(ANSWER_WITHIN, TcpStream::connect((host.as_str(), *port)));
        let stream = connecting.await.unwrap_or_else(|late| Err(late.into()));
        let stream = stream.with_context(|| format!("cannot connect to {host}:{port}"))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// As a URL has it.
    pub fn authority(&self) -> &str {
        self.header.to_str().unwrap_or_default()
    }
}

/// What the server said.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn is_success(&self) -> bool {
        self.status / 100 == 2
    }
}

/// One request at a time, over a connection that is made anew where the server has closed it.
pub struct Client {
    address: Rc<Address>,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    pub fn new(address: &Rc<Address>) -> Self {
        Self { address: Rc::clone(address), connection: None }
    }

    /// A client that has its connection already.
    pub async fn connected_to(address: &Rc<Address>) -> Result<Self> {
        let mut client = Self::new(address);
        client.connection = Some(client.connected().await?);
        Ok(client)
    }

    /// An error where no answer came in time: whether the server did as it was asked is then not known.
    pub async fn ask(
        &mut self,
        method: Method,
        path: &str,
        authorization: Option<&HeaderValue>,
        body: impl Into<Bytes>,
    ) -> Result<Answer> {
        let mut request = Request::builder().method(method).uri(path).header(HOST, self.address.header.clone());
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        let exchange = self.exchange(request.body(Full::new(body.into()))?);
        timeout(ANSWER_WITHIN, exchange).await.context("no answer in time")?
    }

    /// GETs what is answered when there is something, however long that takes.
    pub async fn poll(
        &mut self,
        path: &str,
        headers: impl IntoIterator<Item = (HeaderName, HeaderValue)>,
    ) -> Result<Answer> {
        let mut request = Request::get(path).header(HOST, self.address.header.clone());
        request.headers_mut().context("a path that is one")?.extend(headers);
        self.exchange(request.body(Full::default())?).await
    }

    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<Answer> {
        // Taken out meanwhile: a connection whose answer was not read to its end is of no further use.
        let mut connection = self.connected().await?;
        let answer = connection.send_request(request).await?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await?.to_bytes();
        self.connection = Some(connection);
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
    }

    async fn connected(&mut self) -> Result<SendRequest<Full<Bytes>>> {
        if let Some(mut connection) = self.connection.take()
            && connection.ready().await.is_ok()
        {
            return Ok(connection);
        }
        let (connection, driver) = handshake(TokioIo::new(self.address.connect().await?)).await?;
        // How it ends is told to whoever waits for an answer.
        tokio::task::spawn_local(driver);
        Ok(connection)
    }
}
