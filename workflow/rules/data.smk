rule demo_data:
    output:
        f"{DEMO}/digest.json",  # not the folders: Snakemake would empty them before it writes
    log:
        f"{DEMO}/demo_data.log",
    shell:
        "quac demo-data --out {output:q} --seed 0 --log-file {log:q}"


rule split_images:
    input:
        key=key_of("split"),
    output:
        [f"{{data}}/split/{split}.csv" for split in ("train", "validation", "test")],
    log:
        "{data}/logs/split_images.log",
    threads: decoding_threads
    params:
        workers=workers,
    shell:
        "quac split-images --key {input.key:q} --out {wildcards.data:q}/split --workers {params.workers}"
        " --log-file {log:q}"


rule index_images:
    input:
        rule_made_source,
        key=key_of("index_{split}"),
    output:
        "{data}/{split}.parquet",
    log:
        "{data}/logs/index_{split}.log",
    threads: decoding_threads
    params:
        workers=workers,
    shell:
        "quac index --key {input.key:q} --split {wildcards.split} --out {output:q} --workers {params.workers}"
        " --log-file {log:q}"


rule check_splits:
    input:
        indexes=every_split(".parquet"),
        key=key_of("checks"),
    output:
        "{data}/checks.json",
    log:
        "{data}/logs/check_splits.log",
    params:
        indexes=option_per_file("--index", "indexes"),
    shell:
        "quac check-splits --key {input.key:q} {params.indexes:q} --out {output:q} --log-file {log:q}"


rule store_images:
    input:
        unpack(
            order_only(
                "{data}/{split}.store",
                {"index": in_data("{split}.parquet"), "key": key_of("store_{split}")},
                gates=[in_data("checks.json")],
            )
        ),
    output:
        "{data}/{split}.store",
    log:
        "{data}/logs/store_{split}.log",
    threads: decoding_threads
    params:
        workers=workers,
    shell:
        "quac store --key {input.key:q} --split {wildcards.split} --index {input.index:q} --out {output:q}"
        " --workers {params.workers} --log-file {log:q}"
