//! Run-time dispatch: a block of plain code compiled for every instruction set, run in the widest.

/// Runs a block compiled for the widest vector instructions that the processor has.
///
/// The block becomes the body of a function of its own, since only what is inlined there takes on
/// the instruction set: call nothing in it that is not `#[inline(always)]`. Its variables are
/// named with their types, and references with the lifetimes that come first (and after them, behind
/// a semicolon, a type of the caller and its bound):
///
/// ```
/// let (mut sums, row) = (vec![1.0f32; 3], vec![2.0f32; 3]);
/// let (sums, row) = (&mut sums[..], &row[..]);
/// fvtool::widest!(<'a> |sums: &'a mut [f32], row: &'a [f32]| -> () {
///     sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
/// });
/// assert_eq!(sums, [3.0, 3.0, 3.0]);
/// ```
///
/// Where the compiler does not find the vector form of a loop by itself, the block can use `pulp`'s
/// operations: `simd: S` before the variables names the instruction set.
///
/// ```
/// use pulp::Simd;
/// let row = [2.0f32; 3];
/// let row = &row[..];
/// let sum = fvtool::widest!(<'a> simd: S, |row: &'a [f32]| -> f32 {
///     simd.reduce_sum_f32s(simd.partial_load_f32s(row))
/// });
/// # assert!(sum > 0.0);
/// ```
#[macro_export]
macro_rules! widest {
    (<$($life:lifetime),* $(; $kind:ident : $bound:path)?> |$($name:ident : $type:ty),* $(,)?| -> $out:ty $body:block) => {
        $crate::widest!(<$($life),* $(; $kind: $bound)?> _simd: S, |$($name: $type),*| -> $out $body)
    };
    (<$($life:lifetime),* $(; $kind:ident : $bound:path)?> $simd:ident : $set:ident, |$($name:ident : $type:ty),* $(,)?| -> $out:ty $body:block) => {{
        struct Kernel<$($life,)* $($kind)?> {
            $($name: $type),*
        }
        impl<$($life,)* $($kind: $bound)?> ::pulp::WithSimd for Kernel<$($life,)* $($kind)?> {
            type Output = $out;
            #[inline(always)]
            fn with_simd<$set: ::pulp::Simd>(self, $simd: $set) -> $out {
                let Self { $($name),* } = self;
                $body
            }
        }
        ::pulp::Arch::new().dispatch(Kernel { $($name),* })
    }};
}
