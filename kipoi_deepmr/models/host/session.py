"""The requests that a model answers: what it is, its dataloader's loci, predictions of sequences and of mutants."""

import json
import threading
import time
from contextlib import contextmanager

import numpy as np

from . import attributions, checksums, file_model, items, layout, live, marks, masks, nested, saturation, sources, views
from .columns import arrays_of
from .errors import ItemError, ModelError, OutOfMemory, model_code
from .keras_graph import KerasGraph
from .keras_rest import KerasRest
from .torch_graph import BATCH, record
from .torch_rest import TorchRest

DEFAULT_BATCH_SIZE = 512
BATCHES = (64, 256, 1024, 4096)  # that are tried
CLEARLY = 1.1  # times as fast as with a smaller batch
LONG = 1.0  # seconds of a batch, after which none larger is tried
N_PROBES = 4
N_TRIED_ITEMS = 20  # until one shows how the dataloader lays DNA out: the first may lie over a contig's end
NOT_IN_CHECKSUM = ("batch_size", "length", "interval_length", "module", "marks")

class HostedModel:
    """A loaded Kipoi model, or a network of this process.

    A model whose input is not DNA alone, or of any length, is ready to predict only when `open_loci` has shown it a
    locus (or, for the length, when the settings hold one); until then it has no marks.

    Parameters
    ----------
    model : str or live.LiveModel
        Name of a model in its source; a directory or a network's file when the source is `dir`; or what this process
        holds.
    source : str
        A Kipoi model source: `kipoi` (the model zoo), `dir`, or one of ~/.kipoi/config.yaml.
    settings : dict of JSON values
        All optional: batch_size; length (bases that the model takes), interval_length (of the loci, where nothing else
        tells how many it takes); module, module_args (see `network_file.NetworkFile`); seq_input, seq_layout, alphabet
        (see `layout.find_layout`); mark_names, mark_summary, mark_window, mark_windows, mark_layout, scale,
        mark_groups, marks (see `marks.find_marks`);
        mc_dropout (number of masks), seed, augment (see `views.parse_views`).
    in_worker : bool
        Whether this process is the model's own; see `bpnet.load`.
    name : str, optional
        What it is called in messages and descriptions; by default as `model`.

    Raises
    ------
    ModelError
        The model cannot be loaded, or is of a form that we cannot use; the message says which.
    """

    def __init__(self, model, source="kipoi", settings=None, in_worker=False, name=None):
        self._name = str(name or model)
        self._settings = {key: value for key, value in (settings or {}).items() if value is not None}
        self._batch_size = self._settings.get("batch_size", DEFAULT_BATCH_SIZE)
        self._largest = None  # batch that memory holds, once it has run out
        self._views = views.parse_views(self._settings.get("augment", []))
        self._files = None
        if isinstance(model, live.LiveModel):
            self._model = model
        else:
            if source == "dir" and not file_model.is_file(str(model)):
                self._files = checksums.Files(str(model))
            self._model = sources.load(str(model), source, in_worker, self._name, self._settings)
        with model_code(f"model {self._name} cannot be loaded"):
            self._dataloader = items.describe(self._model)
        self._items = self._layout = self._length = self._marks = self._masks = self._first_probe = None
        self._attributed = None
        self._recorded, self._rests, self._lock = {}, {}, threading.Lock()
        try:
            self._set_layout(None)
        except layout.ItemNeeded:
            pass
        else:
            self._get_ready()
        self._checksum = self._find_checksum()

    def _find_checksum(self):
        """Over all that the answers depend on: the model's folder as it was before its code ran, or what it tells."""
        settings = {key: value for key, value in self._settings.items() if key not in NOT_IN_CHECKSUM}
        if isinstance(self._model, live.LiveModel):
            return checksums.checksum({}, [self._model.checksum(), settings])
        if isinstance(self._model, file_model.FileModel):
            return checksums.checksum(self._model.files(), settings)
        files, values = checksums.of_arguments(self._model.source_dir, self._model.args)
        if self._files:
            self._files.note_written()
        files.update(self._files.own() if self._files else checksums.files_below(self._model.source_dir))
        return checksums.checksum(files, [values, settings])

    def describe(self):
        """What the driver and `check` tell of the model.

        Returns
        -------
        dict of JSON values
            name, marks (empty until the model is ready), length, alphabet, checksum, replicates (names of the
            combinations of mask and view, [""] if there is one only), needs_item, layout and outputs (sentences),
            notes, framework, dataloader (see `items.describe`), versions; None until the model is ready: internals,
            item (of the dataloader, with which random sequences are predicted), precision (see `tensors`).
        """
        return {
            "name": self._name,
            "marks": list(self._marks.names) if self._marks else [],
            "length": self._length,
            "alphabet": "ACGT",
            "checksum": self._checksum,
            "replicates": self._replicate_names(),
            "needs_item": self._layout is None or self._layout.needs_item,
            "layout": self._layout.description if self._layout else "",
            "outputs": self._marks.description if self._marks else "",
            "notes": list(self._marks.notes) if self._marks else [],
            "framework": sources.frameworks(),
            "dataloader": self._dataloader,
            "versions": sources.versions(),
            "internals": self._described_internals() if self._marks else None,
            "item": self._probe_item if self._marks else None,
            "precision": self._marks.precision if self._marks else None,
        }

    def has_changed(self):
        """Whether a network of this process is another than when it was first described, as after training."""
        return isinstance(self._model, live.LiveModel) and self._model.checksum_now() != self._model.checksum()

    def networks(self):
        """The Keras and PyTorch networks that the model holds."""
        return masks.networks_of(self._model)

    def recorded(self, batch=BATCH):
        """What its network computes, as `torch_graph.record` or `keras_graph.KerasGraph.described` say it.

        Parameters
        ----------
        batch : int
            Sequences for which PyTorch's calls are recorded, and made in `rest`.

        Raises
        ------
        ModelError
            It cannot be recorded, or is not the only one.
        """
        network = self._network()
        if masks.kind_of(network) == masks.KERAS:
            with model_code("its network cannot be read"):
                return self._keras_graph().described()
        if batch not in self._recorded:
            self._recorded[batch] = record(network, self._shape(), self._masks.torch_modules if self._masks else [],
                                           batch)
        return self._recorded[batch]

    def rest(self, plan, arrays, mask=None, batch_size=None):
        """What its network computes of the results of some of its calls.

        Parameters
        ----------
        plan : dict of JSON values
            Of a Keras network, see `keras_rest.KerasRest`; of PyTorch's known and wanted (see `torch_rest.TorchRest`)
            and batch.
        arrays : list of (n, ...) float32 array
        mask : int, optional
            Number of the dropout mask with which it predicts; by default it predicts without dropout.
        batch_size : int, optional
            Most sequences that are computed at once.

        Returns
        -------
        list of (n, ...) float array

        Raises
        ------
        OutOfMemory
        ModelError
            The network fails.
        """
        network, n = self._network(), len(arrays[0])
        is_keras = masks.kind_of(network) == masks.KERAS
        key = json.dumps([plan, is_keras and mask is not None])
        step, parts = batch_size or n, []
        with self._lock, model_code("it cannot compute the rest"), self._predicting(), self._mask(
                mask if is_keras else None):
            if key not in self._rests:
                self._rests[key] = self._rest_of(network, plan)
            more = {} if is_keras else {"masks": None if mask is None else dict(self._masks.arrays(mask))}
            for start in range(0, n, step):
                parts.append(self._rests[key]([array[start:start + step] for array in arrays], **more))
        return [np.concatenate(each) for each in zip(*parts)]

    def _rest_of(self, network, plan):
        if masks.kind_of(network) == masks.KERAS:
            return KerasRest(network, self._keras_graph().operations, plan)
        device = next((parameter.device for parameter in network.parameters()), "cpu")
        return TorchRest(*self.recorded(plan["batch"]), plan["known"], plan["wanted"], device)

    def _network(self):
        """Its only network."""
        networks = self.networks()
        if len(networks) != 1:
            raise ModelError(f"it holds {len(networks)} networks")
        return networks[0]

    def _keras_graph(self):
        if None not in self._recorded:
            self._recorded[None] = KerasGraph(self._network(), self._shape())
        return self._recorded[None]

    def _shape(self):
        """Of one sequence as its network takes it."""
        return self._layout.one_hot()[1].shape(self._length)

    def outputs(self, sequences):
        """What the model itself returns for sequences, without dropout masks and views: list of (n, ...) arrays."""
        answer = self._answer(sequences, self._inputs(self._probe_item))
        return [array.astype(marks.float_type(array), copy=False)
                for _, array, _, _ in self._named(arrays_of, answer, len(sequences))]

    def masks_of(self, number):
        """A dropout mask by layers; see `masks.DropoutMasks.arrays`."""
        return self._masks.arrays(number)

    def _described_internals(self):
        """What tells how its answers follow from its network; see `models.internals.Internals`."""
        name, form = self._layout.one_hot() or (None, None)
        return {"files": sources.files(self._model), "input": name,
                "networks": [masks.kind_of(network) for network in self.networks()],
                "shape": form and list(form.shape(self._length)),
                "axes": form and [form.letter_axis, form.position_axis],
                "output_names": [getattr(one, "name", None) for _, one in nested.leaves(self._model.schema.targets)],
                "letters": self._layout.alphabet, "marks": self._marks.to_json(), "views": list(map(list, self._views)),
                "n_masks": len(self._masks.names) if self._masks else 0}

    def open_loci(self, arguments):
        """Open the model's dataloader.

        Parameters
        ----------
        arguments : dict

        Returns
        -------
        int
            Number of items.
        """
        self._items = items.Items(self._model, self._name, arguments)
        self._attributed = None  # whose layout and marks may be others now
        first = self._first_item()
        if first is not None:
            self._set_layout(self._items.inputs(first))
            self._length = self._length or len(self._layout.decode(self._items.inputs(first)))
            self._get_ready(first)
        if self._files:
            self._files.note_written()
        return len(self._items)

    def locus(self, number):
        """One item of the dataloader.

        Returns
        -------
        dict
            ranges (dict of chr, start, end, strand, id), sequence ((L,) uint8, N where the input is not one-hot).

        Raises
        ------
        ItemError
            The dataloader fails on it.
        ModelError
            It does not say where the locus lies.
        """
        return {"ranges": self._items.ranges(number), "sequence": self._layout.decode(self._items.inputs(number))}

    def probe(self, again=False):
        """Marks of a few random sequences, the same in every member: as first predicted, or predicted again.

        Returns
        -------
        (replicates, n, marks) float, or None while the model is not ready.
        """
        if self._first_probe is None or not again:
            return self._first_probe
        return self.predict(self._probe_sequences(), self._probe_item)

    def predict(self, sequences, item=None, batch_size=None):
        """Marks of sequences.

        Parameters
        ----------
        sequences : (n, L) uint8
            One byte per base, upper case.
        item : int, optional
            Number of the dataloader's item whose other inputs go with the sequences.
        batch_size : int, optional
            Most sequences in one call of the model; by default as in the settings.

        Returns
        -------
        (replicates, n, marks) float32 or float64
            In the precision in which the model answers; see `marks.Marks.read`.

        Raises
        ------
        OutOfMemory
        ModelError
            The model fails, or its output is not of the form that it had at first.
        """
        return np.concatenate(list(self.iter_predict(sequences, item, batch_size)), axis=1)

    def mutants(self, sequence, item=None, batch_size=None):
        """Marks of a sequence and of all its single mutants, in the order of `saturation.saturation_mutants`.

        Returns
        -------
        (replicates, 1 + 3 L, marks) float32 or float64
            The sequence itself first.
        """
        return np.concatenate(list(self.iter_mutants(sequence, item, batch_size)), axis=1)

    def approximate(self, sequence, item=None, method="gradient"):
        """`mutants`, with the mutants approximated from the sequence; `method` is a key of `attributions.METHODS`.

        Raises
        ------
        OutOfMemory
        ModelError
            The model cannot be differentiated; the message says why.
        """
        inputs = self._inputs(item)
        if self._attributed is None:
            self._attributed = self._named(attributions.Attributed, self._model, self._layout, self._marks)
        found = []
        for k in range(len(self._masks.names) if self._masks else 1):
            with self._predicting(), self._mask(k):
                found += [self._named(self._attributed.mutants, sequence, view, inputs, method) for view in self._views]
        return np.stack(found)

    def iter_predict(self, sequences, item=None, batch_size=None):
        """`predict`, one batch after the other."""
        return self._batches(len(sequences), lambda start, stop: sequences[start:stop], item, batch_size)

    def iter_mutants(self, sequence, item=None, batch_size=None):
        """`mutants`, one batch after the other."""
        return self._batches(1 + 3 * len(sequence), lambda start, stop: saturation.rows(sequence, start, stop), item,
                             batch_size)

    def _batches(self, n, rows, item, batch_size):
        """Predictions of rows(start, stop), one batch after the other; when memory runs out, batches are halved."""
        inputs, start = self._inputs(item), 0
        while start < n:
            stop = min(start + min(batch_size or self._batch_size, self._largest or n), n)
            try:
                predicted = self._predict_batch(rows(start, stop), inputs)
            except OutOfMemory:
                if stop - start == 1:
                    raise
                self._largest = (stop - start) // 2
                continue
            yield predicted
            start = stop

    def measure_batch(self):
        """How many sequences a batch should hold: more and more are tried, as long as they are clearly faster."""
        inputs = self._inputs(self._probe_item)
        best, seconds_each = BATCHES[0], None
        few = self._probe_sequences()
        start = time.time()
        self._predict_batch(few, inputs)  # was predicted before, and so is compiled
        if (time.time() - start) / len(few) * BATCHES[0] > LONG:
            return BATCHES[0]
        for size in BATCHES:
            sequences = saturation.BASES[np.random.RandomState(1).randint(0, 4, (size, self._length))]
            try:
                self._predict_batch(sequences, inputs)  # may compile
                start = time.time()
                self._predict_batch(sequences, inputs)
            except OutOfMemory:
                break
            seconds = time.time() - start
            if seconds_each and seconds / size > seconds_each / CLEARLY:
                break
            best, seconds_each = size, seconds / size
            if seconds > LONG:
                break
        return best

    def _set_layout(self, inputs):
        chosen = {key: self._settings.get(key) for key in ("seq_input", "seq_layout", "alphabet")}
        found = self._named(layout.find_layout, self._model.schema.inputs, items.defaults(self._model), inputs,
                            **chosen)
        if self._layout is None or found.description != self._layout.description:
            self._layout, self._marks = found, None
        if found.needs_item and len(self._views) > 1:
            raise ModelError(f"model {self._name}: --augment is for models that take DNA alone; this one takes "
                             f"{found.description}")
        said = self._settings.get("length")
        if said and self._layout.length not in (None, said):
            raise ModelError(f"model {self._name}: --length {said}, but its network takes {self._layout.length} bases")
        self._length = self._layout.length or self._length or said or self._settings.get("interval_length")

    def _get_ready(self, item=None):
        """Find the marks by a first prediction, unless they are known or cannot be yet."""
        if self._marks or not self._length or (self._layout.needs_item and item is None):
            return
        self._probe_item = item if self._layout.needs_item else None
        sequences = self._probe_sequences()
        predicted = self._answer(sequences, self._inputs(self._probe_item))
        wanted = {"names": "mark_names", "summary": "mark_summary", "window": "mark_window", "groups": "mark_groups",
                  "windows": "mark_windows", "layout": "mark_layout", "marks": "marks"}
        chosen = {key: self._settings.get(name) for key, name in wanted.items()}
        self._marks = self._named(marks.find_marks, self._model.schema.targets, predicted, len(sequences),
                                  scale=self._settings.get("scale", "identity"), **chosen)
        n_masks = self._settings.get("mc_dropout", 0)
        if n_masks and self._masks is None:
            with self._predicting():
                self._masks = self._named(masks.dropout_masks, self._model, n_masks, self._settings.get("seed", 42))
        self._first_probe = self.predict(sequences, self._probe_item)

    def _first_item(self):
        """Number of the first item that shows the layout, or None if the dataloader fails on all that were tried."""
        refused = None
        for number in range(min(len(self._items), N_TRIED_ITEMS)):
            try:
                self._set_layout(self._items.inputs(number))
                return number
            except ItemError:
                continue
            except ModelError as error:
                refused = refused or error
        if refused:
            raise refused
        return None

    def _probe_sequences(self):
        drawn = np.random.RandomState(1).randint(0, 4, (min(N_PROBES, self._batch_size), self._length))
        return saturation.BASES[drawn]

    def _inputs(self, item):
        """What the dataloader gives beside DNA, for a layout that needs it."""
        if self._layout is None or not self._length:
            raise ModelError(f"model {self._name} must see a locus of its dataloader first")
        return self._items.inputs(item) if self._layout.needs_item and self._items and item is not None else None

    def _replicate_names(self):
        masked = self._masks.names if self._masks else [""]
        return [",".join(filter(None, (mask, view.name))) for mask in masked for view in self._views]

    @contextmanager
    def _mask(self, number):
        if self._masks is None or number is None:
            yield
        else:
            with self._masks.use(number):
                yield

    @contextmanager
    def _predicting(self):
        """Within this context a network of this process that may be in training predicts."""
        if isinstance(self._model, live.LiveModel):
            with self._model.predicting():
                yield
        else:
            yield

    def _predict_batch(self, sequences, inputs):
        predicted = []
        for k in range(len(self._masks.names) if self._masks else 1):
            with self._mask(k):
                for view in self._views:
                    answer = self._answer(view.apply(sequences), inputs)
                    predicted.append(self._named(self._marks.read, answer, len(sequences)))
        return np.stack(predicted)

    def _answer(self, sequences, inputs):
        """What the model returns for sequences."""
        encoded = self._named(self._layout.encode, sequences, inputs)
        with model_code(f"model {self._name} failed to predict {len(sequences)} sequences"):
            return self._model.predict_on_batch(encoded)

    def _named(self, function, *arguments, **more):
        """Call a function, putting the model's name before what it finds wrong."""
        try:
            return function(*arguments, **more)
        except ModelError as error:
            raise type(error)(f"model {self._name}: {error}") from error
