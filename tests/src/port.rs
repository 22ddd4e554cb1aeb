//! Ports on the loopback that nobody else is given.
//!
//! Asking for a free port and letting go of it invites somebody else to be given the
//! same one before it is used. Here a socket stays bound to it that never listens:
//! the system gives the port to nobody who asks for any, whoever asks for this very
//! one may listen at it (Linux, where both sides set SO_REUSEADDR, as servers do), and
//! until then connections are refused. Elsewhere the port is only known to have been
//! free. It starts no server.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener};
use std::os::fd::OwnedFd;

/// A port of 127.0.0.1, kept for one user until this is dropped.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _held: Option<OwnedFd>,
}

impl Port {
    /// Takes one that is free.
    ///
    /// # Panics
    /// When the loopback has none.
    #[must_use]
    pub fn reserve() -> Self {
        Self::held().unwrap_or_else(|| {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
            let address = listener.and_then(|listener| listener.local_addr());
            Self {
                number: address.expect("the loopback has a free port").port(),
                _held: None,
            }
        })
    }

    #[cfg(target_os = "linux")]
    fn held() -> Option<Self> {
        use rustix::net::{
            AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with, sockopt,
        };
        let any = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None);
        let socket = socket.expect("the loopback has sockets");
        // Only afterwards: whoever says it before may be given what others hold so.
        bind(&socket, &any).expect("the loopback has a free port");
        sockopt::set_socket_reuseaddr(&socket, true).expect("every socket knows it");
        let address = getsockname(&socket).expect("it is bound");
        let address = SocketAddr::try_from(address).expect("it is of the internet");
        Some(Self {
            number: address.port(),
            _held: Some(socket),
        })
    }

    #[cfg(not(target_os = "linux"))]
    fn held() -> Option<Self> {
        None
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.number
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::ErrorKind;
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn it_is_closed_until_its_user_listens() {
        let port = Port::reserve();
        let address = (Ipv4Addr::LOCALHOST, port.number());
        let refused = TcpStream::connect(address).expect_err("nobody listens");
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        // The library sets SO_REUSEADDR, as servers do.
        for _ in 0..2 {
            let listener = TcpListener::bind(address).expect("it is kept for this");
            TcpStream::connect(address).expect("somebody listens");
            let second = TcpListener::bind(address).expect_err("one is enough");
            assert_eq!(second.kind(), ErrorKind::AddrInUse);
            drop(listener);
        }
    }
}
