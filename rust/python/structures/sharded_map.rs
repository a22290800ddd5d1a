//! The class `ShardedMap`: the Rust map from a key's hash to its bucket, the immutable list of entries with that hash.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering};

use pyo3::PyTraverseError;
use pyo3::exceptions::PyValueError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::entry::Entry;
use super::mapping;
use crate::structures;

/// Never empty, and hardly ever longer than one. A change replaces it whole, so its address is its version.
type Bucket = Arc<[Entry]>;

/// A mapping for many threads, cut into `shards` (a power of two up to 512), each behind a lock of its own.
///
/// Reads, writes and decisions about one key are atomic, and none of your code runs under a lock: keys are hashed and
/// compared outside, and a change is decided again if another thread changed the same entry meanwhile. So `__hash__`,
/// `__eq__`, `__del__` and the functions you pass in may use the same map. Keys are told apart as in a `dict`.
///
/// Iterating, `keys()`, `values()`, `items()` and `==` work on a copy (see `snapshot`): the map may change meanwhile.
/// The order of the entries is not defined. The garbage collector sees what the map holds.
///
/// Raises `ValueError` for another number of shards.
///
/// >>> from pychat.structures import ShardedMap
/// >>> stock = ShardedMap[str, int](shards=4)
/// >>> stock["apples"] = 3
/// >>> stock.get_or_insert("pears", lambda: 5), stock.get_or_insert("pears", lambda: 7)
/// (5, 5)
/// >>> stock.remove_if("apples", lambda left: left == 0)
/// False
/// >>> stock.pop("apples")
/// 3
/// >>> stock == {"pears": 5}
/// True
/// >>> len(stock.shard_sizes()), sum(stock.shard_sizes())
/// (4, 1)
#[pyclass(frozen, generic, mapping, module = "pychat.structures")]
pub struct ShardedMap {
    buckets: structures::ShardedMap<isize, Bucket>,
    /// Entries that are not the first of their bucket.
    collisions: AtomicIsize,
}

/// Where a key was looked for, and whether it was there.
struct Place {
    hash: isize,
    bucket: Option<Bucket>,
    index: Option<usize>,
}

impl Place {
    fn entry(&self) -> Option<&Entry> {
        Some(&self.bucket.as_deref()?[self.index?])
    }

    fn value<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.entry().map(|entry| entry.value.bind(py).clone())
    }

    /// The bucket as it would be with `entry` in the place of the one found, or without that.
    fn changed(&self, py: Python<'_>, entry: Option<Entry>) -> Option<Bucket> {
        let found = self.bucket.as_deref().unwrap_or_default();
        if found.len() == usize::from(self.index.is_some()) {
            return Some(Arc::new([entry?]));
        }
        let others = found.iter().enumerate().filter(|(index, _)| Some(*index) != self.index);
        Some(others.map(|(_, other)| other.clone_ref(py)).chain(entry).collect())
    }
}

impl ShardedMap {
    fn find(&self, key: &Bound<'_, PyAny>) -> PyResult<Place> {
        let hash = key.hash()?;
        let bucket = self.buckets.get(&hash);
        for (index, entry) in bucket.as_deref().unwrap_or_default().iter().enumerate() {
            if entry.has_key(key)? {
                return Ok(Place { hash, bucket, index: Some(index) });
            }
        }
        Ok(Place { hash, bucket, index: None })
    }

    /// Puts `next` in the place of the bucket that was found; false if another one is there by now.
    fn swap(&self, place: &Place, next: Option<Bucket>) -> bool {
        let length = |bucket: &Option<Bucket>| bucket.as_ref().map_or(0, |bucket| bucket.len() as isize - 1);
        let change = length(&next) - length(&place.bucket);
        let hash = &place.hash;
        let is_done = match (&place.bucket, next) {
            (Some(found), Some(next)) => {
                self.buckets.replace_if(hash, next, |bucket| Arc::ptr_eq(bucket, found)).is_ok()
            }
            (Some(found), None) => self.buckets.remove_if(hash, |bucket| Arc::ptr_eq(bucket, found)).is_some(),
            (None, Some(next)) => {
                let put = || Ok::<_, Infallible>(Arc::clone(&next));
                let Ok(is_ours) = self.buckets.get_or_try_insert_with(*hash, put, |bucket| Arc::ptr_eq(bucket, &next));
                is_ours
            }
            (None, None) => true,
        };
        if is_done && change != 0 {
            self.collisions.fetch_add(change, Ordering::Relaxed);
        }
        is_done
    }

    /// Removes the key, and returns its value, if `doomed` says so of that.
    fn take<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        doomed: impl Fn(&Bound<'py, PyAny>) -> PyResult<bool>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        loop {
            let place = self.find(key)?;
            let Some(value) = place.value(key.py()) else { return Ok(None) };
            if !doomed(&value)? {
                return Ok(None);
            }
            if self.swap(&place, place.changed(key.py(), None)) {
                return Ok(Some(value));
            }
        }
    }
}

#[pymethods]
impl ShardedMap {
    #[new]
    #[pyo3(signature = (shards = 16))]
    fn new(shards: isize) -> PyResult<Self> {
        if !(1..=512).contains(&shards) || shards.count_ones() != 1 {
            return Err(PyValueError::new_err("shards must be a power of two between 1 and 512"));
        }
        Ok(Self { buckets: structures::ShardedMap::new(shards as usize), collisions: AtomicIsize::new(0) })
    }

    fn __getitem__<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.find(key)?.value(key.py()).ok_or_else(|| mapping::missing(key))
    }

    #[pyo3(signature = (key, default = None, /))]
    fn get<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(self.find(key)?.value(key.py()).or(default))
    }

    fn __contains__(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(self.find(key)?.index.is_some())
    }

    fn __setitem__(&self, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = key.py();
        loop {
            let place = self.find(key)?;
            // As in a dict the first key stays.
            let kept = place.entry().map_or(key, |entry| entry.key.bind(py));
            let entry = Entry { key: kept.clone().unbind(), value: value.clone().unbind() };
            if self.swap(&place, place.changed(py, Some(entry))) {
                return Ok(());
            }
        }
    }

    fn __delitem__(&self, key: &Bound<'_, PyAny>) -> PyResult<()> {
        self.take(key, |_| Ok(true))?.map(drop).ok_or_else(|| mapping::missing(key))
    }

    #[pyo3(signature = (key, make, /))]
    fn get_or_insert<'py>(&self, key: &Bound<'py, PyAny>, make: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = key.py();
        let mut made = None;
        loop {
            let place = self.find(key)?;
            if let Some(value) = place.value(py) {
                return Ok(value);
            }
            let value = match &made {
                Some(value) => Bound::clone(value),
                // It may well have put the key in itself: look again.
                None => {
                    made = Some(make.call0()?);
                    continue;
                }
            };
            let entry = Entry { key: key.clone().unbind(), value: value.clone().unbind() };
            if self.swap(&place, place.changed(py, Some(entry))) {
                return Ok(value);
            }
        }
    }

    #[pyo3(signature = (key, doomed, /))]
    fn remove_if(&self, key: &Bound<'_, PyAny>, doomed: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(self.take(key, |value| doomed.call1((value,))?.is_truthy())?.is_some())
    }

    #[pyo3(signature = (key, default = None, /), text_signature = "($self, key, default=..., /)")]
    fn pop<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        #[pyo3(from_py_with = mapping::given)] default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.take(key, |_| Ok(true))?.or(default).ok_or_else(|| mapping::missing(key))
    }

    fn clear(&self) {
        for shard in 0..self.buckets.shard_count() {
            let removed = self.buckets.sweep(shard, |_, _| true);
            let collisions: isize = removed.iter().map(|(_, bucket)| bucket.len() as isize - 1).sum();
            self.collisions.fetch_sub(collisions, Ordering::Relaxed);
        }
    }

    fn __len__(&self) -> usize {
        self.buckets.len().saturating_add_signed(self.collisions.load(Ordering::Relaxed))
    }

    fn shard_sizes(&self) -> Vec<usize> {
        if self.collisions.load(Ordering::Relaxed) == 0 {
            return self.buckets.shard_sizes();
        }
        let lengths = |shard| self.buckets.collect(shard, |_, bucket| Some(bucket.len()));
        (0..self.buckets.shard_count()).map(|shard| lengths(shard).iter().sum()).collect()
    }

    fn snapshot<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let snapshot = PyDict::new(py);
        for shard in 0..self.buckets.shard_count() {
            for bucket in self.buckets.collect(shard, |_, bucket| Some(Arc::clone(bucket))) {
                for entry in bucket.iter() {
                    snapshot.set_item(&entry.key, &entry.value)?;
                }
            }
        }
        Ok(snapshot)
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.snapshot(py)?.call_method0("__iter__")
    }

    fn keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.snapshot(py)?.call_method0("keys")
    }

    fn values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.snapshot(py)?.call_method0("values")
    }

    fn items<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.snapshot(py)?.call_method0("items")
    }

    fn __eq__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        mapping::equal(&self.snapshot(other.py())?, other)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        for shard in 0..self.buckets.shard_count() {
            let visited = |_: &isize, bucket: &Bucket| bucket.iter().find_map(|entry| entry.traverse(&visit).err());
            self.buckets.collect(shard, visited).pop().map_or(Ok(()), Err)?;
        }
        Ok(())
    }

    fn __clear__(&self) {
        self.clear();
    }
}
