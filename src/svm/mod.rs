//! stub
use crate::dataset::Label;
use crate::linalg::Rows;
use crate::*;
use ndarray::*;
crate::parameters! { /// x
pub struct Params { /// c
 pub c: f64 = 10.0, /// g
 pub c_grid: Vec<f64> = vec![], } }
impl Params {
    pub fn validate(&self) -> Result<()> {
        Ok(())
    }
}
pub struct Model;
pub fn train(
    _r: &dyn Rows,
    _l: &[Vec<Label>],
    _c: &[String],
    _p: &Params,
    _s: random::Seed,
    _g: &dyn progress::Progress,
) -> Result<Model> {
    todo!()
}
impl Model {
    pub fn classes(&self) -> &[String] {
        todo!()
    }
    pub fn reports(&self) -> &[String] {
        todo!()
    }
    pub fn sigmoids(&self) -> &[String] {
        todo!()
    }
    pub fn selection(&self) -> Option<&String> {
        todo!()
    }
    pub fn weights(&self) -> ArrayView2<'_, f32> {
        todo!()
    }
    pub fn bias(&self) -> &[f32] {
        todo!()
    }
    pub fn summary(&self) -> String {
        todo!()
    }
    pub fn from_parts(
        _c: Vec<String>,
        _w: Array2<f32>,
        _b: Vec<f32>,
        _s: Vec<String>,
        _r: Vec<String>,
        _x: Option<String>,
    ) -> Result<Self> {
        todo!()
    }
    pub fn scores(&self, _r: &dyn Rows) -> Result<Array2<f32>> {
        todo!()
    }
    pub fn score(&self, _r: &[f32]) -> Result<Vec<f32>> {
        todo!()
    }
    pub fn probabilities(&self, _s: &[f32]) -> Vec<Option<f32>> {
        todo!()
    }
}
