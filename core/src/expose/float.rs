//! Numbers as Prometheus writes them: Go's `strconv.FormatFloat(f, 'g', -1, 64)`.

use std::io::Write as _;

/// Writes a number as text format 0.0.4 has it: `1`, `0.25`, `1e+06`, `+Inf`.
pub(super) fn write(out: &mut Vec<u8>, number: f64) {
    if number.is_nan() {
        out.extend_from_slice(b"NaN");
    } else if number.is_infinite() {
        out.extend_from_slice(if number > 0.0 { b"+Inf" } else { b"-Inf" });
    } else {
        write_finite(out, number);
    }
}

/// Writes a number so that it is always seen to be a float: `1.0`. Prometheus writes bounds of protobuf histograms so, too.
pub(super) fn write_float(out: &mut Vec<u8>, number: f64) {
    let start = out.len();
    write(out, number);
    if number.is_finite() && !out[start..].iter().any(|byte| matches!(byte, b'.' | b'e')) {
        out.extend_from_slice(b".0");
    }
}

/// Rust's and Go's shortest digits are the same; Go takes the exponent form below 1e-4 and from 1e21 on (`%v`), or from 1e6 on
/// where fewer digits do (`'g'`, -1: its precision counts as 6), and writes two digits of exponent at least.
fn write_finite(out: &mut Vec<u8>, number: f64) {
    let start = out.len();
    let plain = number.abs();
    if plain == 0.0 || (1e-4..1e6).contains(&plain) {
        write!(out, "{number}").expect("a Vec takes all bytes");
        return;
    }
    write!(out, "{number:e}").expect("a Vec takes all bytes");
    let Some(mark) = out[start..].iter().position(|byte| *byte == b'e') else { return };
    let exponent = out.split_off(start + mark + 1);
    let (sign, digits) = match exponent.split_first() {
        Some((b'-', digits)) => (b'-', digits),
        _ => (b'+', &exponent[..]),
    };
    out.push(sign);
    if digits.len() < 2 {
        out.push(b'0');
    }
    out.extend_from_slice(digits);
}
