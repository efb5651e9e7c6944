//! - `vectors`: RFC 7541 Appendix C
//! - `bounds`: errors, sizes and limits, one by one
//! - `meaning`: names and values, and what unknown fields may be
//! - `encoder`: a sender that uses every representation as it is told to
//! - `properties`: against an independent library, and against the sender's own knowledge after a join and after losses

mod bounds;
mod encoder;
mod meaning;
mod properties;
mod vectors;

use super::*;

/// Bytes of a string of hexadecimal digits and spaces.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks_exact(2).map(|pair| u8::try_from(16 * pair[0] + pair[1]).unwrap()).collect()
}

/// What a decoder makes of a block.
fn decoded(decoder: &mut Decoder, block: &[u8]) -> Result<Block, HpackError> {
    let mut out = Block::default();
    decoder.decode(block, &mut out).map(|()| out)
}

/// A literal field with a literal name, of short strings that are not coded.
fn literal(first: u8, name: &str, value: &str) -> Vec<u8> {
    let mut field = vec![first];
    for text in [name, value] {
        field.push(u8::try_from(text.len()).ok().filter(|len| *len < 0x7f).unwrap());
        field.extend_from_slice(text.as_bytes());
    }
    field
}

/// A string of so many zeros, a multiple of eight, as Huffman's code has them: five bits without a one each.
fn huffman_zeros(count: u32) -> Vec<u8> {
    let bytes = count as usize / 8 * 5;
    let mut string = loona_hpack::encoder::encode_integer(bytes, 7);
    string[0] |= 0x80;
    string.resize(string.len() + bytes, 0);
    string
}

/// What a list of fields says, told in the plainest way.
fn truth(fields: &[(String, String)]) -> Block {
    let mut block = Block::default();
    for (name, value) in fields {
        match name.as_str() {
            ":path" => block.method = Field::Known(value.as_str().into()),
            ":status" => block.status = Field::Known(value.parse().unwrap()),
            "content-type" => {
                let grpc = value == "application/grpc" || value == "application/grpc+proto";
                block.content_type = Field::Known(if grpc { ContentType::Grpc } else { ContentType::Other });
            }
            "grpc-status" => block.grpc_status = Field::Known(value.parse().unwrap()),
            "grpc-timeout" => {
                let (number, unit) = value.split_at(value.len() - 1);
                let unit = ["n", "u", "m", "S"].iter().position(|u| *u == unit).unwrap();
                let nanoseconds = number.parse::<u64>().unwrap() * 1000_u64.pow(u32::try_from(unit).unwrap());
                block.grpc_timeout = Field::Known(nanoseconds);
            }
            _ => {}
        }
        block.is_post |= name == ":method" && value == "POST";
        block.is_request |= matches!(name.as_str(), ":path" | ":method" | ":scheme" | ":authority");
    }
    block
}
