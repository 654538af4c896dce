//! Who is at the other end of a loopback connection.
//!
//! The relay's port is open to every process on the machine, and what comes through it acts with this run's lease. On
//! Linux the kernel says which user owns the other end; anybody but ourselves is refused. Elsewhere there is no such
//! table to read, and everybody on the machine may connect: they still know no placeholder.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Whether the other end of a connection belongs to the user we run as. Reads a file: not for the runtime's thread.
pub(super) fn is_ours(peer: SocketAddr, us: SocketAddr) -> bool {
    if !cfg!(target_os = "linux") {
        return true;
    }
    let ours = rustix::process::geteuid().as_raw();
    // A program that speaks IPv6 by default, such as Java, has its end in the second table.
    ["/proc/self/net/tcp", "/proc/self/net/tcp6"]
        .iter()
        .any(|table| std::fs::read_to_string(table).is_ok_and(|table| owner(&table, peer, us) == Some(ours)))
}

/// The user of the socket with this local and this remote address, according to the kernel's table.
fn owner(table: &str, local: SocketAddr, remote: SocketAddr) -> Option<u32> {
    table.lines().skip(1).find_map(|line| {
        // sl  local_address rem_address  st tx_queue:rx_queue tr:tm->when retrnsmt  uid …
        let mut columns = line.split_ascii_whitespace().skip(1);
        let ends = (address(columns.next()?)?, address(columns.next()?)?);
        let user = (ends == (local, remote)).then(|| columns.nth(4)?.parse().ok()).flatten()?;
        // A socket that its owner has closed belongs to nobody and is shown as root's.
        let inode = columns.nth(1)?;
        (inode != "0").then_some(user)
    })
}

/// `0100007F:1F90`: the address as words in the machine's byte order, the port as a number.
fn address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let word = |at: usize| u32::from_str_radix(address.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    let ip = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?];
            let bytes: [u8; 16] = words.concat().try_into().ok()?;
            // `::ffff:127.0.0.1` is the same end as `127.0.0.1`.
            Ipv6Addr::from(bytes).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    /// Rows as the kernel writes them on a little-endian machine.
    #[cfg(target_endian = "little")]
    #[test]
    fn rows() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
             0: 00000000:07E8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1443 1\n   \
             1: 0100007F:9C40 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1000        0 1444 1\n   \
             2: 0000000000000000FFFF00000100007F:9C41 0000000000000000FFFF00000100007F:1F90 01 00000000:00000000 \
             00:00000000 00000000  1001        0 1445 1\n   \
             3: 0100007F:9C43 0100007F:1F90 05 00000000:00000000 00:00000000 00000000     0        0 0 1\n   garbage\n";
        let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        assert_eq!(owner(table, at(0x9c40), at(0x1f90)), Some(1000));
        assert_eq!(owner(table, at(0x9c41), at(0x1f90)), Some(1001));
        assert_eq!(owner(table, at(0x1f90), at(0x9c40)), None, "our own end is not the other one");
        assert_eq!(owner(table, at(0x9c42), at(0x1f90)), None);
        assert_eq!(owner(table, at(0x9c43), at(0x1f90)), None, "nobody's any more");
    }

    /// A connection of this process is found, over both families; one that does not exist is not.
    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_is_ours() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let us = listener.local_addr().unwrap();
        let client = TcpStream::connect(us).unwrap();
        let (_server, peer) = listener.accept().unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
        assert!(is_ours(peer, us));
        assert!(!is_ours(SocketAddr::new(peer.ip(), 1), us));
        let mapped = format!("[::ffff:127.0.0.1]:{}", us.port());
        let _client = TcpStream::connect(mapped).unwrap();
        let (_server, peer) = listener.accept().unwrap();
        assert!(is_ours(peer, us));
    }
}
