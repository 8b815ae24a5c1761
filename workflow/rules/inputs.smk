# Input functions: which files a job takes.


def key_of(stage):
    """Input function: the key file of a stage; `{split}` is filled in."""
    return lambda wc: f"{root_of(wc)}/keys/{stage.format(**dict(wc.items()))}.json"


def in_data(name):
    """Input function: a file of the run's prepared data; wildcards are filled in."""
    return lambda wc: f"{root_of(wc)}/data/{name.format(**dict(wc.items()))}"


def every_split(ending):
    """Input function: a file of each split's prepared data."""
    return lambda wc: [f"{root_of(wc)}/data/{split}{ending}" for split in run_of(wc).splits]


def references(ending):
    """Input function: a file of the split whose images are the references for the queries of `wc.split`."""

    def find(wc):
        split = dict(wc.items()).get("split", "validation")
        return f"{root_of(wc)}/data/{run_of(wc).reference_split(split)}{ending}"

    return find


def classifier_file(wc):
    """The user's classifier, whose content is in the keys (so a mere touch changes nothing), or ours."""
    given = run_of(wc).validation_config.classifier_checkpoint
    return ancient(given) if given else f"{root_of(wc)}/classifier/classifier.pt"


def classifier_record(wc):
    given = run_of(wc).validation_config.classifier_checkpoint
    return [] if given else [f"{root_of(wc)}/classifier/fit.json"]


def data_gate(wc):
    return ancient(f"{root_of(wc)}/data/checks.json")


def classifier_gate(wc):
    return ancient(f"{root_of(wc)}/classifier/check.json")


def rule_made_source(wc):
    """The digest file of a source that a rule makes."""
    return [f"{DEMO}/digest.json"] if is_demo(run_of(wc).splits[wc.split].source) else []


def previous_segment(wc):
    """The marker of the segment before; a gate only, since the keys tell when a segment must be trained again."""
    before = [end for end in SEGMENTS[wc.root] if end < int(wc.end)]
    return [ancient(f"{wc.root}/training/{before[-1]:06d}.json")] if before else []


def segment_of(wc):
    """The marker of the segment in which a step was trained. A gate: it changes when the training gets longer."""
    if int(wc.step) not in RUNS[wc.root].steps:
        raise WorkflowError(f"step {int(wc.step)} is not saved: saved are {RUNS[wc.root].steps} (run.save_every)")
    end = next(end for end in SEGMENTS[wc.root] if end >= int(wc.step))
    return ancient(f"{wc.root}/training/{end:06d}.json")


def every_step(pattern):
    """Input function: a file of each saved step."""
    return lambda wc: [pattern.format(root=root_of(wc), step=f"{step:06d}") for step in run_of(wc).steps]


def every_checkpoint(wc):
    return [ancient(path) for path in every_step("{root}/checkpoints/{step}_nets_ema.ckpt")(wc)]


def conversions(pattern):
    """Input function: a file of each split but the training split, and of each kind."""
    return lambda wc: [
        pattern.format(root=root_of(wc), split=split, kind=kind)
        for split in run_of(wc).splits
        if split != "train"
        for kind in KINDS
    ]


def every_image_folder(wc):
    # Looking at a folder may change its time (some file managers leave files there); the tables tell what is in it.
    return [ancient(path) for path in conversions("{root}/generated_images/{split}/{kind}")(wc)]


def every_key(wc):
    return [f"{root_of(wc)}/keys/{stage}.json" for stage in stages_of(root_of(wc), run_of(wc))]


def as_json(wc, input):
    """Params value: a job's inputs by their names, as JSON."""
    return json.dumps({name: files if isinstance(files, str) else list(files) for name, files in input.items()})


def repeated(option, name):
    """Params function: `option` before each file of the input `name`."""
    return lambda wc, input: [word for path in input[name] for word in (option, path)]
