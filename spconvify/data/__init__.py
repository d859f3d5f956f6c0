"""Images and labels from files: pictures in folders, arrays in .npy and .npz files."""
