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

/// Rust's and Go's shortest digits are the same. Go's `'g'` takes the exponent form below 1e-4 and from 1e6 on (`eprec = 6` in
/// strconv/ftoa.go when the digits are the shortest), with two digits of exponent at least.
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{write, write_float};

    fn text(number: f64, as_float: bool) -> String {
        let mut out = Vec::new();
        if as_float {
            write_float(&mut out, number);
        } else {
            write(&mut out, number);
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_what_go_writes() {
        let cases = [
            (0.0, "0", "0.0"),
            (-0.0, "-0", "-0.0"),
            (1.0, "1", "1.0"),
            (-2.5, "-2.5", "-2.5"),
            (0.1, "0.1", "0.1"),
            (0.0001, "0.0001", "0.0001"),
            (0.000_01, "1e-05", "1e-05"),
            (0.000_016, "1.6e-05", "1.6e-05"),
            (999_999.0, "999999", "999999.0"),
            (999_999.9, "999999.9", "999999.9"),
            (1e6, "1e+06", "1e+06"),
            (1_234_567.0, "1.234567e+06", "1.234567e+06"),
            (-1.5e300, "-1.5e+300", "-1.5e+300"),
            (5e-324, "5e-324", "5e-324"),
            (f64::MAX, "1.7976931348623157e+308", "1.7976931348623157e+308"),
            (f64::INFINITY, "+Inf", "+Inf"),
            (f64::NEG_INFINITY, "-Inf", "-Inf"),
            (f64::NAN, "NaN", "NaN"),
        ];
        for (number, plain, float) in cases {
            assert_eq!((text(number, false), text(number, true)), (plain.to_owned(), float.to_owned()));
        }
    }

    proptest! {
        #[test]
        fn every_finite_number_reads_back_exactly(bits in any::<u64>()) {
            let number = f64::from_bits(bits);
            prop_assume!(number.is_finite());
            for as_float in [false, true] {
                prop_assert_eq!(text(number, as_float).parse::<f64>().unwrap().to_bits(), bits);
            }
        }
    }
}
