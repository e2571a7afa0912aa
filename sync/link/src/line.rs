//! A connection and its streams, whatever carries them: QUIC, or lanes inside a WebSocket.

use crate::web;
use crate::{LinkError, explain};
use quinn::VarInt;
use rustls_pki_types::CertificateDer;
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};

/// Bytes both ways, where the kind does not matter.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for T {}

/// Why a connection is over.
#[derive(Clone, Debug)]
pub(crate) enum Closed {
    /// By QUIC.
    Quic(quinn::ConnectionError),
    /// The peer said so, with a code and words.
    Said(u32, Vec<u8>),
    /// Nothing was heard for too long.
    Silent,
    /// We closed it, or it broke; words.
    Broken(String),
}

impl From<quinn::ConnectionError> for Closed {
    fn from(error: quinn::ConnectionError) -> Self {
        match error {
            quinn::ConnectionError::ApplicationClosed(close) => {
                let code = u32::try_from(close.error_code.into_inner()).unwrap_or(u32::MAX);
                Self::Said(code, close.reason.to_vec())
            }
            other => Self::Quic(other),
        }
    }
}

/// A connection between a box and a relay.
#[derive(Clone, Debug)]
pub(crate) enum Connection {
    /// Over QUIC.
    Quic(quinn::Connection),
    /// Inside a WebSocket.
    Web(web::Connection),
}

/// The sending half of a stream.
#[derive(Debug)]
pub(crate) enum SendStream {
    /// Over QUIC.
    Quic(quinn::SendStream),
    /// A lane; nothing once it is finished.
    Lane(Option<WriteHalf<Box<dyn Io>>>),
}

/// The receiving half of a stream.
#[derive(Debug)]
pub(crate) enum RecvStream {
    /// Over QUIC.
    Quic(quinn::RecvStream),
    /// A lane.
    Lane(ReadHalf<Box<dyn Io>>),
}

/// Reading broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// The stream ended after so many bytes.
    #[error("the stream ended after {0} bytes")]
    Early(usize),
    /// More came than was to come.
    #[error("the stream is too long")]
    TooLong,
    /// The stream broke.
    #[error("{0}")]
    Broken(String),
}

/// The two halves of a lane.
pub(crate) fn halves(stream: Box<dyn Io>) -> (SendStream, RecvStream) {
    let (read, write) = tokio::io::split(stream);
    (SendStream::Lane(Some(write)), RecvStream::Lane(read))
}

impl Connection {
    /// A new stream to the peer.
    pub(crate) async fn open_bi(&self) -> Result<(SendStream, RecvStream), Closed> {
        match self {
            Self::Quic(connection) => {
                let (send, receive) = connection.open_bi().await?;
                Ok((SendStream::Quic(send), RecvStream::Quic(receive)))
            }
            Self::Web(connection) => connection.open_bi().await,
        }
    }

    /// The next stream that the peer opens.
    pub(crate) async fn accept_bi(&self) -> Result<(SendStream, RecvStream), Closed> {
        match self {
            Self::Quic(connection) => {
                let (send, receive) = connection.accept_bi().await?;
                Ok((SendStream::Quic(send), RecvStream::Quic(receive)))
            }
            Self::Web(connection) => connection.accept_bi().await,
        }
    }

    /// Ends the connection, with a code and words for the peer.
    pub(crate) fn close(&self, code: VarInt, words: &[u8]) {
        match self {
            Self::Quic(connection) => connection.close(code, words),
            Self::Web(connection) => {
                connection.close(u32::try_from(code.into_inner()).unwrap_or(u32::MAX), words);
            }
        }
    }

    /// Waits until it is over.
    pub(crate) async fn closed(&self) -> Closed {
        match self {
            Self::Quic(connection) => connection.closed().await.into(),
            Self::Web(connection) => connection.closed().await,
        }
    }

    /// Why it is over, once it is.
    pub(crate) fn close_reason(&self) -> Option<Closed> {
        match self {
            Self::Quic(connection) => connection.close_reason().map(Into::into),
            Self::Web(connection) => connection.close_reason(),
        }
    }

    /// Bytes that went out and came in so far, with the headers of IP (28 of each datagram; of a
    /// WebSocket about 60 of each message).
    pub(crate) fn carried(&self) -> (u64, u64) {
        match self {
            Self::Quic(connection) => {
                let stats = connection.stats();
                let with = |udp: quinn::UdpStats| udp.bytes + 28 * udp.datagrams;
                (with(stats.udp_tx), with(stats.udp_rx))
            }
            Self::Web(connection) => connection.carried(),
        }
    }

    /// How long an answer takes, where that is measured.
    pub(crate) fn round_trip(&self) -> Option<std::time::Duration> {
        match self {
            Self::Quic(connection) => Some(connection.rtt()),
            Self::Web(_) => None,
        }
    }

    /// Where the peer is, or the proxy before it; for logs.
    pub(crate) fn remote_address(&self) -> SocketAddr {
        match self {
            Self::Quic(connection) => connection.remote_address(),
            Self::Web(connection) => connection.remote_address(),
        }
    }

    /// The certificate of the peer, which TLS has checked.
    pub(crate) fn peer_certificate(&self) -> Option<CertificateDer<'static>> {
        match self {
            Self::Quic(connection) => {
                let chain = connection.peer_identity()?;
                let chain = chain.downcast::<Vec<CertificateDer<'static>>>().ok()?;
                chain.first().cloned()
            }
            Self::Web(connection) => connection.peer_certificate(),
        }
    }

    /// What the two sides have agreed to talk.
    pub(crate) fn alpn(&self) -> Option<Vec<u8>> {
        match self {
            Self::Quic(connection) => {
                let data = connection.handshake_data()?;
                data.downcast::<quinn::crypto::rustls::HandshakeData>().ok()?.protocol
            }
            Self::Web(connection) => connection.alpn(),
        }
    }
}

fn broken(e: io::Error) -> LinkError {
    LinkError::Broken(e.to_string())
}

impl SendStream {
    /// Writes all of it.
    pub(crate) async fn write_all(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        match self {
            Self::Quic(stream) => {
                stream.write_all(bytes).await.map_err(|e| LinkError::Broken(e.to_string()))
            }
            Self::Lane(Some(stream)) => {
                stream.write_all(bytes).await.map_err(broken)?;
                stream.flush().await.map_err(broken)
            }
            Self::Lane(None) => Err(LinkError::Broken("the stream is finished".into())),
        }
    }

    /// Nothing more comes.
    pub(crate) fn finish(&mut self) {
        match self {
            Self::Quic(stream) => {
                // Fails only when it is finished already.
                let _ = stream.finish();
            }
            Self::Lane(stream) => {
                if let Some(mut stream) = stream.take() {
                    tokio::spawn(async move {
                        let _ = stream.shutdown().await;
                    });
                }
            }
        }
    }

    /// How urgent it is beside other streams. Lanes take turns and know no urgency.
    pub(crate) fn set_priority(&self, priority: i32) {
        if let Self::Quic(stream) = self {
            // Fails only when it is finished already.
            let _ = stream.set_priority(priority);
        }
    }
}

impl RecvStream {
    /// Fills the buffer.
    pub(crate) async fn read_exact(&mut self, bytes: &mut [u8]) -> Result<(), ReadError> {
        match self {
            Self::Quic(stream) => stream.read_exact(bytes).await.map_err(|e| match e {
                quinn::ReadExactError::FinishedEarly(n) => ReadError::Early(n),
                other => ReadError::Broken(other.to_string()),
            }),
            Self::Lane(stream) => {
                let mut filled = 0;
                while filled < bytes.len() {
                    match stream.read(&mut bytes[filled..]).await {
                        Ok(0) => return Err(ReadError::Early(filled)),
                        Ok(n) => filled += n,
                        Err(e) => return Err(ReadError::Broken(e.to_string())),
                    }
                }
                Ok(())
            }
        }
    }

    /// Some bytes, at least one; nothing when the stream has ended.
    pub(crate) async fn read(&mut self, bytes: &mut [u8]) -> Result<Option<usize>, ReadError> {
        match self {
            Self::Quic(stream) => {
                stream.read(bytes).await.map_err(|e| ReadError::Broken(e.to_string()))
            }
            Self::Lane(stream) => match stream.read(bytes).await {
                Ok(0) => Ok(None),
                Ok(n) => Ok(Some(n)),
                Err(e) => Err(ReadError::Broken(e.to_string())),
            },
        }
    }

    /// Nothing more is read. A lane says so when it is dropped.
    pub(crate) fn stop(&mut self) {
        if let Self::Quic(stream) = self {
            // Fails only when it has ended already.
            let _ = stream.stop(VarInt::from_u32(0));
        }
    }

    /// What is left, at most so much.
    pub(crate) async fn read_to_end(&mut self, most: usize) -> Result<Vec<u8>, ReadError> {
        match self {
            Self::Quic(stream) => stream.read_to_end(most).await.map_err(|e| match e {
                quinn::ReadToEndError::TooLong => ReadError::TooLong,
                other => ReadError::Broken(other.to_string()),
            }),
            Self::Lane(stream) => {
                let mut bytes = Vec::new();
                let limit = most as u64 + 1;
                let read = stream.take(limit).read_to_end(&mut bytes).await;
                read.map_err(|e| ReadError::Broken(e.to_string()))?;
                if bytes.len() > most { Err(ReadError::TooLong) } else { Ok(bytes) }
            }
        }
    }
}

impl Closed {
    /// In the words for a person.
    pub(crate) fn explain(&self) -> LinkError {
        explain(self)
    }
}
