//! The listening socket: IPv6 and IPv4 on one port, and bounds on what the kernel keeps for each connection.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket};
use tracing::info;

use crate::server::ANSWER_TIMEOUT;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1_024;
/// Bytes of an answer that the kernel takes before the client has read any, half of what it accounts for. Bounds what clients that
/// do not read can make it hold, which counts as the agent's memory.
const SEND_BYTES: u32 = 64 << 10;
/// The same of requests, which are small.
const RECEIVE_BYTES: u32 = 16 << 10;

/// Listens on `address`. `[::]` takes IPv4, too, and is `0.0.0.0` on a machine without IPv6.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    with_fallback(address, open)
}

fn with_fallback<L>(address: SocketAddr, open: impl Fn(SocketAddr) -> io::Result<L>) -> io::Result<L> {
    match open(address) {
        Err(error) if address.ip() == Ipv6Addr::UNSPECIFIED && no_ipv6(&error) => {
            info!(%error, "No IPv6 on this machine: listening on IPv4");
            open(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port()))
        }
        opened => opened,
    }
}

/// The kernel was started with `ipv6.disable=1` or built without IPv6, or it has no IPv6 address.
fn no_ipv6(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL))
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv6() { TcpSocket::new_v6() } else { TcpSocket::new_v4() }?;
    let options = SockRef::from(&socket);
    if address.is_ipv6() {
        // Whatever net.ipv6.bindv6only says.
        options.set_only_v6(false)?;
    }
    // Accepted connections inherit what follows.
    // The kernel, too, gives up a client that takes nothing for so long.
    options.set_tcp_user_timeout(Some(ANSWER_TIMEOUT))?;
    socket.set_send_buffer_size(SEND_BYTES)?;
    socket.set_recv_buffer_size(RECEIVE_BYTES)?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn the_unspecified_address_of_ipv6_takes_both() {
        let listener = listen("[::]:0".parse().expect("an address")).expect("a free port");
        let address = listener.local_addr().expect("bound");
        TcpStream::connect((Ipv4Addr::LOCALHOST, address.port())).await.expect("IPv4");
        if address.is_ipv6() {
            TcpStream::connect((Ipv6Addr::LOCALHOST, address.port())).await.expect("IPv6");
        }
    }

    #[test]
    fn without_ipv6_it_is_that_of_ipv4_and_no_other_error_or_address_is() {
        let without_ipv6 = |code| {
            move |address: SocketAddr| {
                if address.is_ipv6() { Err(io::Error::from_raw_os_error(code)) } else { Ok(address) }
            }
        };
        let any = "[::]:10980".parse().expect("an address");
        for code in [libc::EAFNOSUPPORT, libc::EADDRNOTAVAIL] {
            let opened = with_fallback(any, without_ipv6(code)).expect("IPv4");
            assert_eq!(opened, "0.0.0.0:10980".parse().expect("an address"));
        }
        assert!(with_fallback(any, without_ipv6(libc::EADDRINUSE)).is_err());
        assert!(with_fallback("[::1]:10980".parse().expect("an address"), without_ipv6(libc::EADDRNOTAVAIL)).is_err());
    }
}
