"""The numbers of a conversion, by their names. (Starts without torch or pandas: the workflow names files by them.)"""

# Shares of the tries, of the queries: with intervals.
RATES = ("translation_rate", "conversion_rate")

# Column of the table of tries -> what it is. Means over the tries, then over the queries of a class pair.
MEANS = {
    "p_target": "target probability",
    "l1": "distance to the query, L1",
    "ssim": "similarity to the query, SSIM",
    "cycle": "distance to the query after conversion back, L1",
    "diversity": "distance between tries, L1",
}

# Between the generated images of a class pair and the real images of the target class.
DISTANCES = {
    "frechet": "Fréchet distance of the classifier's logits",
    "kernel": "kernel distance of the classifier's logits",
}

# What is looked at within a training: so many queries of a class at most, with so many tries into each other class; and
# fewer queries where these were more images in all than that.
LOOK_QUERIES, LOOK_TRIES, LOOK_IMAGES = 16, 2, 2048

MATRICES = (*RATES, *MEANS, *DISTANCES)
