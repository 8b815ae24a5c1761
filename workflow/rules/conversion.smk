rule convert:
    input:
        unpack(
            gated(
                "{root}/conversion/{split}/{kind}.parquet",
                {
                    "selected": in_run("selection/selected.json"),
                    "classifier": classifier_file,
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
        options=computing,
    shell:
        "quac convert --key {input.key:q} --selected {input.selected:q} --classifier {input.classifier:q}"
        " --store {input.store:q} --index {input.index:q}"
        " --reference-store {input.reference_store:q} --reference-index {input.reference_index:q}"
        " --kind {wildcards.kind} --out {output.table:q} --images {output.images:q} {params.options} --log-file {log:q}"


rule matrices:
    input:
        table="{root}/conversion/{split}/{kind}.parquet",
        index=in_data("{split}.parquet"),
    output:
        translation_rate="{root}/evaluation/{split}/{kind}_translation_rate.csv",
        conversion_rate="{root}/evaluation/{split}/{kind}_conversion_rate.csv",
        cells="{root}/evaluation/{split}/{kind}_cells.csv",
        averages="{root}/evaluation/{split}/{kind}_averages.json",
    log:
        "{root}/logs/matrices_{split}_{kind}.log",
    shell:
        "quac matrices --table {input.table:q} --index {input.index:q}"
        " --translation-rate {output.translation_rate:q} --conversion-rate {output.conversion_rate:q}"
        " --cells {output.cells:q} --averages {output.averages:q} --log-file {log:q}"
