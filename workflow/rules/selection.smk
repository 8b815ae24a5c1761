rule score_checkpoint:
    input:
        unpack(scoring("{root}/selection/{step}.parquet")),
    output:
        "{root}/selection/{step}.parquet",
    log:
        "{root}/logs/score_{step}.log",
    benchmark:
        "{root}/logs/score_{step}.tsv"
    wildcard_constraints:
        root=roots_where(whole=True),
    threads: network_threads
    resources:
        gpu=1,
        mem_mb=8000,
    params:
        options=device_options,
    shell:
        "quac score-checkpoint --key {input.key:q} --checkpoint {input.checkpoint:q} --classifier {input.classifier:q}"
        " --store {input.store:q} --index {input.index:q}"
        " --reference-store {input.reference_store:q} --reference-index {input.reference_index:q}"
        " --out {output:q} {params.options} --log-file {log:q}"


use rule score_checkpoint as score_shard with:
    input:
        unpack(scoring("{root}/selection/{step}_{shard}.parquet")),
    output:
        "{root}/selection/{step}_{shard}.parquet",
    log:
        "{root}/logs/score_{step}_{shard}.log",
    benchmark:
        "{root}/logs/score_{step}_{shard}.tsv"
    wildcard_constraints:
        root=roots_where(whole=False),
    params:
        options=shard_options,


rule gather_scores:
    input:
        tables=every_shard("{root}/selection/{step}_{shard}.parquet"),
    output:
        "{root}/selection/{step}.parquet",
    log:
        "{root}/logs/gather_{step}.log",
    wildcard_constraints:
        root=roots_where(whole=False),
    params:
        tables=option_per_file("--part", "tables"),
    shell:
        "quac gather {params.tables:q} --out {output:q} --log-file {log:q}"


rule select_checkpoint:
    input:
        scores=every_step("{root}/selection/{step}.parquet"),
        index=in_data("validation.parquet"),
        key=key_of("select"),
        trained=in_run("training/trained.json"),  # a longer training has other checkpoints to choose from
    output:
        selected=report(
            "{root}/selection/selected.json",
            caption="../report/selection.rst",
            category="Selection",
            labels={"run": "{root}", "of": "the chosen checkpoint"},
        ),
        scores=report(
            "{root}/selection/scores.csv",
            caption="../report/selection.rst",
            category="Selection",
            labels={"run": "{root}", "of": "all checkpoints"},
        ),
    log:
        "{root}/logs/select_checkpoint.log",
    params:
        scores=score_pattern,
    shell:
        "quac select-checkpoint --key {input.key:q} --scores {params.scores:q} --index {input.index:q}"
        " --out {output.selected:q} --table {output.scores:q} --log-file {log:q}"
