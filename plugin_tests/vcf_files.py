"""VCF files that tests write and read: the SNVs of a locus, records as lists of columns, INFO as a dict."""

import gzip

import pysam

COMPLEMENT = dict(zip("ACGT", "TGCA", strict=True))
META = ("##fileformat=VCFv4.3", "##contig=<ID=chr1,length=9000>", '##FILTER=<ID=q10,Description="low">',
        '##INFO=<ID=AF,Number=A,Type=Float,Description="f">', '##INFO=<ID=DB,Number=0,Type=Flag,Description="d">',
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="g">')
COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"


def forward(effects, locus):
    """Letters of a locus on the forward strand."""
    letters = [str(x) for x in effects["ref_base"][locus].values[::3]]
    return letters if effects["strand"][locus] == "+" else [COMPLEMENT[x] for x in letters[::-1]]


def snvs(effects, locus, offsets=range(30)):
    """(POS, REF, ALT) of all SNVs at places of a locus."""
    letters, start = forward(effects, locus), int(effects["start"][locus])
    return [(start + k + 1, letters[k], alt) for k in offsets for alt in "ACGT" if alt != letters[k]]


def line(pos, ref, alt, info=".", chrom="chr1"):
    return f"{chrom}\t{pos}\t.\t{ref}\t{alt}\t.\tPASS\t{info}"


def write(path, records, meta=META, columns=COLUMNS, end="\n"):
    text = end.join([*meta, columns, *records]) + end
    if str(path).endswith(".bcf"):
        plain = str(path) + ".vcf"
        with open(plain, "w") as file:
            file.write(text)
        with pysam.VariantFile(plain) as source, pysam.VariantFile(str(path), "wb", header=source.header) as out:
            for record in source:
                out.write(record)
    elif str(path).endswith(".bgz"):
        with pysam.BGZFile(str(path), "wb") as file:
            file.write(text.encode())
    else:
        with (gzip.open if str(path).endswith(".gz") else open)(path, "wb") as file:
            file.write(text.encode())
    return str(path)


def lines(path):
    opener = gzip.open if str(path).endswith("gz") else open
    with opener(path, "rt", newline="") as file:
        return file.read().splitlines()


def records(path):
    return [x.split("\t") for x in lines(path) if not x.startswith("#")]


def info(columns):
    """INFO as a dict of lists."""
    pairs = [item.partition("=") for item in columns[7].split(";")]
    return {key.removeprefix("DEEPMR_"): value.split(",") for key, _, value in pairs}
