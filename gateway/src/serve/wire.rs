//! A TCP connection, plain or encrypted, as server or as client.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

/// A TCP connection with or without TLS.
pub(crate) enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Plain(socket) => Pin::new(socket).poll_read(cx, buf),
            Wire::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Wire::Plain(socket) => Pin::new(socket).poll_write(cx, buf),
            Wire::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Wire::Plain(socket) => {
                let mut gathered = [0; GATHERED_MAX];
                match gather(bufs, &mut gathered) {
                    Some(bytes) => Pin::new(socket).poll_write(cx, bytes),
                    None => Pin::new(socket).poll_write_vectored(cx, bufs),
                }
            }
            Wire::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Wire::Plain(socket) => socket.is_write_vectored(),
            Wire::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Wire::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Wire::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// Up to how many bytes pieces are copied together to be sent as one: to copy so few costs less than
/// what the kernel does for a list of pieces.
const GATHERED_MAX: usize = 2048;

/// Returns the one piece that there is, or all of them as one where they fit; `None` where they do
/// not.
fn gather<'a>(pieces: &'a [IoSlice<'_>], into: &'a mut [u8; GATHERED_MAX]) -> Option<&'a [u8]> {
    if let [piece] = pieces {
        return Some(piece);
    }
    let mut length = 0;
    for piece in pieces {
        into.get_mut(length..length + piece.len())?.copy_from_slice(piece);
        length += piece.len();
    }
    Some(&into[..length])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_bytes_become_one_piece_and_many_stay_apart() {
        let mut into = [0; GATHERED_MAX];
        let (full, one) = ([7; GATHERED_MAX], [8]);
        for (pieces, expected) in [
            (&[][..], Some(&[][..])),
            (&[IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"c")], Some(b"abc")),
            (&[IoSlice::new(&full), IoSlice::new(b"")], Some(&full)),
            (&[IoSlice::new(&one), IoSlice::new(&full)], None),
        ] {
            assert_eq!(gather(pieces, &mut into), expected);
        }
        let large = [1; 2 * GATHERED_MAX];
        assert_eq!(gather(&[IoSlice::new(&large)], &mut into), Some(&large[..]));
    }
}
