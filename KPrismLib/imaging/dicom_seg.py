"""DICOM Segmentation objects, so that a result can go back to the archive that its images came from.

highdicom writes them: patient, study and the place of every slice are those of the source files.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException

from KPrismLib import __version__
from KPrismLib.errors import CannotWrite
from KPrismLib.imaging.dicom_headers import read_elements
from KPrismLib.imaging.volume import Volume
from KPrismLib.terminology import Code, term_codes, term_for

if TYPE_CHECKING:
    from KPrismLib.imaging.segmentation_file import Segment

ENDING = ".dcm"

#: Beside the numbers that scanners give to their series.
_SERIES_NUMBER = 300
_LARGEST_NAME = 64  # characters that a label may have in DICOM
_MAKER = "K-Prism"
_UTF8 = "ISO_IR 192"
#: Must have a value in the source files, since the segmentation refers to them by these.
_IDENTITY = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
#: May be empty in the source files, but not left out.
_PATIENT_AND_STUDY = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
)
#: The kinds of elements whose letters are those of the Specific Character Set.
_TEXT = ("LO", "LT", "PN", "SH", "ST", "UC", "UT")


def check_possible(volume: Volume, name: str) -> None:
    """Find before the work what would keep a DICOM segmentation of ``volume`` from being written as ``name``.

    Raises:
        CannotWrite: the image is not DICOM, does not say where its frames lie, or its first file lacks an element that
            a segmentation needs; or highdicom is not installed.
    """
    if not volume.dicom_files:
        raise CannotWrite(
            f"Cannot write {name}: a DICOM segmentation belongs to a DICOM series, and the image is none; "
            "write .seg.nrrd or .nii.gz."
        )
    _highdicom(name)
    header = read_elements(volume.dicom_files[0])
    several = volume.shape[0] > 1
    # A classic file of several frames has one position for all of them, if any.
    is_classic = "PerFrameFunctionalGroupsSequence" not in header
    is_series = len(volume.dicom_files) > 1
    lacking = _lacking(header, in_patient=not volume.is_picture, in_place=several and is_classic)
    unplaced = several and (volume.is_picture or (is_classic and not is_series))
    if unplaced and not (lacking and is_series):  # of a series it can be said what is missing
        raise CannotWrite(
            f"Cannot write {name}: the DICOM images do not say where their frames lie in the patient, which a DICOM "
            "segmentation needs; write .seg.nrrd or .nii.gz."
        )
    if lacking:
        raise CannotWrite(
            f"Cannot write {name}: the DICOM files lack what a DICOM segmentation needs ({', '.join(lacking)}); "
            "write .seg.nrrd or .nii.gz."
        )


def check_installed(name: str) -> None:
    """Raise CannotWrite if what writes DICOM segmentations, such as ``name``, is not installed."""
    _highdicom(name)


def dicom_seg_bytes(labelmap: npt.NDArray[Any], segments: Sequence[Segment], volume: Volume, name: str) -> bytes:
    """A DICOM file (Segmentation Storage, binary) of a label map ``(slices, rows, columns)`` on the grid of ``volume``.

    Segments are numbered from 1 in their order; each has its name, the codes of its terminology and its colour
    (Recommended Display CIELab Value). Frames without a voxel are left out, unless all are empty. Texts that need more
    letters than ASCII has are in UTF-8, whatever the character set of the source files.

    Raises:
        CannotWrite: see :func:`check_possible`, or the source files lack what the standard asks for.
    """
    check_possible(volume, name)
    highdicom = _highdicom(name)
    numbered = np.zeros(labelmap.shape, np.uint8 if len(segments) < 256 else np.uint16)
    for number, segment in enumerate(segments, start=1):
        numbered[labelmap == segment.label] = number
    sources = _sources(volume)
    # highdicom refuses character sets of several parts, which are usual in Japan; pydicom remembers the set.
    declared = bool(sources[0].get("SpecificCharacterSet"))
    sources[0].pop("SpecificCharacterSet", None)
    descriptions = [_description(highdicom, segment, number) for number, segment in enumerate(segments, start=1)]
    try:
        dataset = highdicom.seg.Segmentation(
            source_images=sources,
            pixel_array=numbered,
            segmentation_type="BINARY",
            omit_empty_frames=bool(numbered.any()),  # a file without any frame is not allowed
            segment_descriptions=descriptions,
            series_instance_uid=highdicom.UID(),
            series_number=_SERIES_NUMBER,
            sop_instance_uid=highdicom.UID(),
            instance_number=1,
            manufacturer=_MAKER,
            manufacturer_model_name=_MAKER,
            software_versions=__version__,
            device_serial_number="none",
            content_label="SEGMENTATION",
            content_description="Research use only",
            series_description=f"{_MAKER} segmentation",
        )
        # Where the source declares no character set, its letters go on as the bytes that they are.
        if not _is_ascii([dataset] if declared else dataset.SegmentSequence):
            dataset.SpecificCharacterSet = _UTF8
    except (BytesLengthException, ValueError, TypeError, AttributeError, KeyError) as error:
        raise CannotWrite(
            f"Cannot write {name}: the DICOM files lack what a DICOM segmentation needs "
            f"({' '.join(str(error).split())}); write .seg.nrrd or .nii.gz."
        ) from error
    stream = io.BytesIO()
    dataset.save_as(stream)
    return stream.getvalue()


def _lacking(header: Dataset, *, in_patient: bool, in_place: bool) -> list[str]:
    """The elements that a source file lacks, by their keywords.

    Args:
        header: of the file.
        in_patient: whether the image lies anywhere in the patient, unlike a film.
        in_place: whether the file itself must say where, as one slice of several.
    """
    valued = [*_IDENTITY, *(["FrameOfReferenceUID"] if in_patient else [])]
    if in_place or "ImagePositionPatient" in header:
        valued += ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"]
    lacking = [keyword for keyword in valued if not header.get(keyword)]
    return lacking + [keyword for keyword in _PATIENT_AND_STUDY if keyword not in header]


def _sources(volume: Volume) -> list[Dataset]:
    """The headers of the source files, in the order of the slices, in what they say about geometry of one mind."""
    sources = [read_elements(path) for path in volume.dicom_files]
    for source in sources:
        if "ImageOrientationPatient" in source:
            # Cosines may differ by rounding from slice to slice; highdicom wants them equal.
            source.ImageOrientationPatient = sources[0].ImageOrientationPatient
        # Scanners write the gap, or nothing sensible, into this field; highdicom then measures from the positions.
        source.pop("SpacingBetweenSlices", None)
    return sources


def _is_ascii(datasets: Iterable[Dataset]) -> bool:
    # All are looked at: texts that were never looked at would be written in the character set of their source.
    texts = [str(one.value) for dataset in datasets for one in dataset.iterall() if one.VR in _TEXT]
    return all(text.isascii() for text in texts)


def _label(text: str, otherwise: str) -> str:
    """A text as DICOM takes it for a label: one line, not too long, without the character that splits it in two."""
    return " ".join(text.replace("\\", "/").split())[:_LARGEST_NAME].strip() or otherwise


def _description(highdicom: ModuleType, segment: Segment, number: int) -> Any:
    codes = term_codes(segment.terminology or term_for(segment.name).entry)

    def concept(code: Code) -> Any:
        return highdicom.sr.CodedConcept(code.value, code.scheme, _label(code.meaning, code.value))

    label = _label(segment.name, f"Segment {number}")
    description = highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=label,
        segmented_property_category=concept(codes.category),
        segmented_property_type=concept(codes.type),
        algorithm_type="AUTOMATIC",
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            name=_MAKER, family=concept(Code("DCM", "123110", "Artificial Intelligence")), version=__version__
        ),
        tracking_uid=highdicom.UID(),
        tracking_id=label,
        anatomic_regions=None if codes.region is None else [concept(codes.region)],
        display_color=highdicom.color.CIELabColor.from_rgb(*(255 * part for part in segment.colour)),
    )
    if codes.modifier is not None:  # left, right, anterior, ...
        type_ = description.SegmentedPropertyTypeCodeSequence[0]
        type_.SegmentedPropertyTypeModifierCodeSequence = [concept(codes.modifier)]
    return description


def _highdicom(name: str) -> ModuleType:
    try:
        import highdicom
    except ImportError as error:
        raise CannotWrite(
            f"Cannot write {name}: DICOM segmentations need highdicom; install it with "
            "`pip install 'kprism[dicom-seg]'`, or write .seg.nrrd."
        ) from error
    return highdicom
