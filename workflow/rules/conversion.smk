rule convert:
    input:
        unpack(
            gated(
                "{root}/conversion/{split}/{kind}.parquet",
                {
                    "selected": in_run("selection/selected.json"),
                    "classifier": classifier_file,
                    "judges": further_judges,
                    "store": in_data("{split}.store"),
                    "index": in_data("{split}.parquet"),
                    "reference_store": references(".store"),
                    "reference_index": references(".parquet"),
                    "key": key_of("conversion_{split}"),
                },
                gates=[every_step("{root}/checkpoints/{step}_nets_ema.ckpt")],
            )
        ),
    output:
        table="{root}/conversion/{split}/{kind}.parquet",
        images=directory("{root}/generated_images/{split}/{kind}"),
    log:
        "{root}/logs/convert_{split}_{kind}.log",
    benchmark:
        "{root}/logs/convert_{split}_{kind}.tsv"
    threads: network_threads
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=480,
    params:
        judges=repeated("--judge", "judges"),
        options=computing,
    shell:
        "quac convert-split --key {input.key:q} --selected {input.selected:q} --classifier {input.classifier:q}"
        " --detailed {params.judges:q}"
        " --store {input.store:q} --index {input.index:q}"
        " --reference-store {input.reference_store:q} --reference-index {input.reference_index:q}"
        " --kind {wildcards.kind} --out {output.table:q} --images {output.images:q} {params.options} --log-file {log:q}"


rule matrices:
    input:
        # What the judge says of real images changes only where it says else of generated ones too, or in other splits.
        unpack(
            gated(
                "{root}/evaluation/{split}/{kind}_cells.csv",
                {"table": in_run("conversion/{split}/{kind}.parquet"), "index": in_data("{split}.parquet")},
                gates=[in_run("classifier/judged.parquet")],
            )
        ),
    output:
        matrices=expand("{{root}}/evaluation/{{split}}/{{kind}}_{metric}.csv", metric=MATRICES),
        cells="{root}/evaluation/{split}/{kind}_cells.csv",
        averages="{root}/evaluation/{split}/{kind}_averages.json",
    log:
        "{root}/logs/matrices_{split}_{kind}.log",
    params:
        matrices=lambda wc, output: [word for path in output.matrices for word in ("--out", path)],
    shell:
        "quac matrices --table {input.table:q} --index {input.index:q} --judged {input.gates:q} {params.matrices:q}"
        " --cells {output.cells:q} --averages {output.averages:q} --log-file {log:q}"
