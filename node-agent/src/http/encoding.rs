//! The body of /metrics: written in the format and the coding that the scraper asks for.

use std::io::{self, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;
use fleetscope_core::expose::{Format, encode};
use fleetscope_core::series::Snapshot;

/// Content codings that are offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// As it is.
    Identity,
    /// gzip (RFC 1952).
    Gzip,
}

/// Writes a snapshot. Takes time in proportion to its size: not for an async thread.
pub fn body(snapshot: &Snapshot, format: Format, coding: Coding) -> io::Result<Vec<u8>> {
    let plain = encode(snapshot, format);
    match coding {
        Coding::Identity => Ok(plain),
        Coding::Gzip => {
            // Level 1: series repeat their labels, so the higher levels cost four times as much for a fifth less.
            let mut writer = GzEncoder::new(Vec::with_capacity(plain.len() / 10), Compression::fast());
            writer.write_all(&plain)?;
            writer.finish()
        }
    }
}

/// The coding by an `Accept-Encoding` header (RFC 9110, 12.5.3): gzip if it is named, or `*` is, with a weight above 0.
pub fn coding(accept_encoding: Option<&str>) -> Coding {
    let mut any = None;
    for range in accept_encoding.unwrap_or_default().split(',') {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        let wanted = weight.is_none_or(|weight| weight.trim().parse::<f32>().is_ok_and(|weight| weight > 0.0));
        if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
            return if wanted { Coding::Gzip } else { Coding::Identity };
        }
        if name == "*" {
            any = Some(wanted);
        }
    }
    if any == Some(true) { Coding::Gzip } else { Coding::Identity }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;
    use fleetscope_core::metrics::BUILD_INFO;
    use fleetscope_core::series::{Filter, Limits, Registry};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn gzip_is_taken_when_it_is_wanted() {
        for wants in ["gzip", "deflate, gzip;q=0.5", "GZIP", "*", "identity;q=0, *;q=0.1", "gzip;q=0.001"] {
            assert_eq!(coding(Some(wants)), Coding::Gzip, "{wants}");
        }
        for refuses in ["", "identity", "gzip;q=0", "*;q=0", "br", "gzip;q=x", "gzip;q=0, *"] {
            assert_eq!(coding(Some(refuses)), Coding::Identity, "{refuses}");
        }
        assert_eq!(coding(None), Coding::Identity);
    }

    #[test]
    fn the_compressed_body_is_the_plain_one() {
        let mut registry = Registry::new(Limits::default());
        registry.set(&BUILD_INFO, None, &["node-agent", "0.1.0"], 1.0);
        let snapshot = registry.snapshot(&Filter::default());
        let plain = body(&snapshot, Format::Text004, Coding::Identity).expect("memory");
        let packed = body(&snapshot, Format::Text004, Coding::Gzip).expect("memory");
        let mut unpacked = Vec::new();
        GzDecoder::new(packed.as_slice()).read_to_end(&mut unpacked).expect("gzip");
        assert_eq!(unpacked, plain);
        assert!(plain.starts_with(b"# HELP fleetscope_build_info "), "{}", String::from_utf8_lossy(&plain));
    }

    proptest! {
        #[test]
        fn any_header_gives_a_coding(header in ".*") {
            coding(Some(&header));
        }
    }
}
