//! A small JPEG of one colour, made in code: generated images must be real files for whoever downloads and shows them.

use crate::ids::fnv1a;

/// Blocks of 8 × 8 pixels along each edge.
const BLOCKS: usize = 8;

/// The picture for an image id; different ids have different colours.
pub(crate) fn jpeg(image_id: &str) -> Vec<u8> {
    let hash = fnv1a(image_id, 0xcbf2_9ce4_8422_2325).to_be_bytes();
    // Brightness stays in the middle, so that the picture shows on light and dark pages.
    let colour = [96 + hash[0] % 96, 48 + hash[1] % 160, 48 + hash[2] % 160];
    encode(colour)
}

/// A baseline JPEG, 4:4:4, whose blocks hold nothing but their mean. With a quantiser of 8 for the mean its value is the
/// sample minus 128, and after the first block every difference is zero.
fn encode(colour: [u8; 3]) -> Vec<u8> {
    let edge = u16::try_from(BLOCKS * 8).expect("the edge is 64 pixels").to_be_bytes();
    let mut out = vec![0xFF, 0xD8];
    segment(&mut out, 0xE0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0");
    let mut quantisers = vec![0];
    quantisers.extend([8; 64]);
    segment(&mut out, 0xDB, &quantisers);
    segment(&mut out, 0xC0, &[8, edge[0], edge[1], edge[0], edge[1], 3, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0]);
    // Differences: magnitude category n (0 to 7) has the code of four bits with value n.
    let mut differences = vec![0x00, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    differences.extend(0..8);
    segment(&mut out, 0xC4, &differences);
    // Other coefficients: only "end of block", the code of one zero bit.
    segment(&mut out, 0xC4, &[0x10, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x00]);
    segment(&mut out, 0xDA, &[3, 1, 0x00, 2, 0x00, 3, 0x00, 0, 63, 0]);
    out.extend(entropy(colour));
    out.extend([0xFF, 0xD9]);
    out
}

fn segment(out: &mut Vec<u8>, marker: u8, content: &[u8]) {
    let length = u16::try_from(content.len() + 2).expect("segments here are short");
    out.extend([0xFF, marker]);
    out.extend(length.to_be_bytes());
    out.extend(content);
}

fn entropy(colour: [u8; 3]) -> Vec<u8> {
    let mut bits = BitWriter::default();
    for block in 0..BLOCKS * BLOCKS {
        for sample in colour {
            let difference = if block == 0 { i32::from(sample) - 128 } else { 0 };
            let category = 32 - difference.unsigned_abs().leading_zeros();
            bits.push(category, 4);
            // A negative difference is written as its ones' complement.
            let magnitude = if difference < 0 { difference + (1 << category) - 1 } else { difference };
            bits.push(magnitude.unsigned_abs(), category);
            bits.push(0, 1);
        }
    }
    bits.finish()
}

#[derive(Default)]
struct BitWriter {
    out: Vec<u8>,
    current: u8,
    used: u32,
}

impl BitWriter {
    fn push(&mut self, value: u32, count: u32) {
        for position in (0..count).rev() {
            self.current = self.current << 1 | u8::from(value >> position & 1 == 1);
            self.used += 1;
            if self.used == 8 {
                self.out.push(self.current);
                // A literal FF in the scan is followed by a zero, so that it is no marker.
                if self.current == 0xFF {
                    self.out.push(0);
                }
                (self.current, self.used) = (0, 0);
            }
        }
    }

    fn finish(mut self) -> Vec<u8> {
        while self.used != 0 {
            self.push(1, 1);
        }
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_small_jpegs_that_differ_by_id() {
        let picture = jpeg("a");
        assert!(picture.starts_with(&[0xFF, 0xD8, 0xFF, 0xE0]) && picture.ends_with(&[0xFF, 0xD9]));
        assert!(picture.len() < 600);
        assert_ne!(picture, jpeg("b"));
    }
}
