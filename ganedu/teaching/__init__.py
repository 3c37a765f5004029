"""What a lecturer has beside the notebooks: slides, links, and the generated parts of the course's pages."""
