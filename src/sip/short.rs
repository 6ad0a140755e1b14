//! Short texts copied without a call: names, nonces and numbers have eight to thirty-two
//! characters, and a copy whose length is known only at run time spends more on choosing a method
//! than on copying.

/// Copies `from` to `to`, which is as long.
///
/// # Panics
/// When it is not.
#[inline(always)]
pub(super) fn copy(to: &mut [u8], from: &[u8]) {
    if !(copy_as_ends::<8>(to, from) || copy_as_ends::<16>(to, from)) {
        to.copy_from_slice(from);
    }
}

/// Copies a text of `N` to 2 `N` bytes by its first and its last `N`, which overlap; whether it has
/// so many.
#[inline(always)]
fn copy_as_ends<const N: usize>(to: &mut [u8], from: &[u8]) -> bool {
    if from.len() > 2 * N || to.len() != from.len() {
        return false;
    }
    let (Some(first), Some(last)) = (from.first_chunk::<N>(), from.last_chunk::<N>()) else { return false };
    if let Some(place) = to.first_chunk_mut() {
        *place = *first;
    }
    if let Some(place) = to.last_chunk_mut() {
        *place = *last;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_all_lengths_arrive_whole() {
        let text: Vec<u8> = (1..=80).collect();
        for len in 0..=text.len() {
            let mut to = vec![0; len + 2];
            copy(&mut to[1..=len], &text[..len]);
            assert_eq!(to, [&[0], &text[..len], &[0]].concat());
        }
    }

    #[test]
    #[should_panic = "length"]
    fn texts_of_two_lengths_are_refused() {
        copy(&mut [0; 9], b"12345678");
    }
}
